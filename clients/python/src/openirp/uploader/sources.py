"""Where files come from: a folder, a ZIP archive, a DICOMDIR with its file set, or one file. Nothing is read ahead.

An archive is never unpacked to disk. What is not believed: names (content tells DICOM), sizes that an archive states,
and paths that a DICOMDIR names.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

MAX_FILE_BYTES = 512 << 20  # as ingest's default; larger files are told of and not sent
MAX_ENTRIES = 1_000_000  # of one archive or file set
MAX_RATIO = 200  # inflated to packed size, of entries beyond `SMALL_BYTES`: images reach 100
SMALL_BYTES = 16 << 20
# zipfile inflates these piece by piece; of others (bzip2, LZMA) one small piece may become gigabytes
PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ZIP_MAGIC = b"PK\x03\x04"


class SourceNotReadable(ValueError):
    """The source is not one that can be sent; the text says why, and names no file of a patient."""


class Item(Protocol):
    """One file of a source."""

    @property
    def name(self) -> str:
        """Unambiguous within the source; it may name a patient and stays in memory."""
        ...

    @property
    def size(self) -> int:
        """Bytes, as stated."""
        ...

    @property
    def changed(self) -> int:
        """Something that changes with the content: a time or a checksum."""
        ...

    def read(self, limit: int = MAX_FILE_BYTES) -> bytes:
        """The first bytes, at most `limit`.

        Raises:
            SourceNotReadable: it is not there any more, broken, or inflates beyond every measure.
        """
        ...


@dataclass(frozen=True, slots=True)
class FileItem:
    """A file in a folder."""

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> FileItem:
        """From a path; looks at its size only."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    @property
    def name(self) -> str:
        """See Item."""
        return str(self.path.absolute())

    def read(self, limit: int = MAX_FILE_BYTES) -> bytes:
        """See Item.read."""
        try:
            with self.path.open("rb") as file:
                data = file.read(min(limit, self.size + 1))
        except OSError as error:
            raise SourceNotReadable(f"a file cannot be read: {error.strerror}") from None
        if len(data) > self.size:
            raise SourceNotReadable("a file grew meanwhile")
        return data


@dataclass(frozen=True, slots=True)
class EntryItem:
    """A file in a ZIP archive."""

    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo

    @property
    def name(self) -> str:
        """See Item."""
        return self.entry.filename

    @property
    def size(self) -> int:
        """See Item."""
        return self.entry.file_size

    @property
    def changed(self) -> int:
        """See Item."""
        return self.entry.CRC

    def read(self, limit: int = MAX_FILE_BYTES) -> bytes:
        """See Item.read; counts what really comes out, whatever the archive states."""
        if self.entry.compress_type not in PACKINGS:
            raise SourceNotReadable("an entry of the archive is packed in a way that cannot be unpacked within bounds")
        allowed = min(limit, max(SMALL_BYTES, MAX_RATIO * self.entry.compress_size))
        try:
            with self.archive.open(self.entry) as file:
                data = _read(file, allowed)
                if allowed < limit and file.read(1):
                    raise SourceNotReadable("an entry of the archive inflates beyond every measure")
                return data
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            if isinstance(error, SourceNotReadable):
                raise
            raise SourceNotReadable(
                "an entry of the archive is broken, encrypted, or packed in an unknown way"
            ) from None


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


def _read(file: IO[bytes], limit: int) -> bytes:
    pieces, size = [], 0
    while size < limit and (piece := file.read(min(1 << 20, limit - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
