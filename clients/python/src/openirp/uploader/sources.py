"""Where files come from: a folder, a ZIP archive, a DICOMDIR with its file set, or one file. Nothing is read ahead.

What is not believed: names (content tells DICOM), and paths that a DICOMDIR names.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

from openirp.uploader.items import EntryItem, FileItem, Item, SourceNotReadable

MAX_ENTRIES = 1_000_000  # of one archive or file set
ZIP_MAGIC = b"PK\x03\x04"


def find(source: Path) -> Iterator[Item]:
    """Files of a source, DICOM or not, in a stable order.

    Raises:
        SourceNotReadable: neither folder nor file, a broken archive, or a file set that leaves its folder.
    """
    from openirp.uploader.file_set import is_directory, referenced_files  # pydicom takes its time

    if source.is_dir():
        yield from map(FileItem.of, _files_below(source))
    elif not source.is_file():
        raise SourceNotReadable("neither a folder nor a file")
    elif is_zip(source):
        yield from _entries(source)
    elif is_directory(source):
        yield from map(FileItem.of, referenced_files(source, MAX_ENTRIES))
    else:
        yield FileItem.of(source)


def is_zip(source: Path) -> bool:
    """True for a file that begins as a ZIP archive."""
    with source.open("rb") as file:
        return file.read(4) == ZIP_MAGIC


def _files_below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root, name)
            if path.is_file():
                yield path


def _entries(source: Path) -> Iterator[EntryItem]:
    try:
        archive = zipfile.ZipFile(source)  # stays open while its items are read
    except (zipfile.BadZipFile, OSError):
        raise SourceNotReadable("the ZIP archive is broken") from None
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_ENTRIES:
        raise SourceNotReadable(f"an archive has at most {MAX_ENTRIES} entries")
    for entry in entries:
        yield EntryItem(archive, entry)
