"""A DICOMDIR and the files that it names. Source: PS3.3 F.3, PS3.10 section 8."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pydicom
from irp_deid import quietly
from pydicom.uid import MediaStorageDirectoryStorage

from openirp.uploader.items import SourceNotReadable

MAX_DIRECTORY_BYTES = 256 << 20
HEAD_BYTES = 4096
PREAMBLE = slice(128, 132)
_SAID = re.compile(re.escape(MediaStorageDirectoryStorage.encode()) + rb"[^0-9.]")
MAX_PARTS = 8  # of a File ID: PS3.10 8.2


def is_directory(source: Path) -> bool:
    """True for a DICOMDIR, whatever its name."""
    with source.open("rb") as file:
        return is_directory_head(file.read(HEAD_BYTES))


def is_directory_head(head: bytes) -> bool:
    """True if a file begins as a DICOMDIR: the Media Storage SOP Class UID of its file meta information says so."""
    return head[PREAMBLE] == b"DICM" and _SAID.search(head, PREAMBLE.stop, HEAD_BYTES) is not None


def referenced_files(source: Path, limit: int) -> Iterator[Path]:
    """Files that a DICOMDIR names, in its order; those that are not there are left out.

    Raises:
        SourceNotReadable: broken, too large, or it names a file outside its folder.
    """
    root = source.parent.resolve()
    for number, parts in enumerate(_file_ids(source)):
        if number == limit:
            raise SourceNotReadable(f"a DICOMDIR names at most {limit} files")
        path = _inside(root, parts)
        if path is not None:
            yield path


def _file_ids(source: Path) -> Iterator[list[str]]:
    if source.stat().st_size > MAX_DIRECTORY_BYTES:
        raise SourceNotReadable(f"a DICOMDIR has at most {MAX_DIRECTORY_BYTES} bytes")
    try:
        with quietly():
            records = pydicom.dcmread(io.BytesIO(source.read_bytes())).get("DirectoryRecordSequence") or []
            found = [record.get("ReferencedFileID") for record in records]
    except Exception:  # pydicom raises what it likes, and its texts quote values
        raise SourceNotReadable("the DICOMDIR is broken") from None
    for value in filter(None, found):
        yield [value] if isinstance(value, str) else [str(part) for part in value]


def _inside(root: Path, parts: list[str]) -> Path | None:
    """The file of a File ID below the root; None if it is not there.

    Raises:
        SourceNotReadable: it leaves the folder, by its name or by a link.
    """
    if len(parts) > MAX_PARTS or any(part in {"", ".", ".."} or set(part) & set("/\\:\x00") for part in parts):
        raise SourceNotReadable("the DICOMDIR names a file outside its folder")
    path = root
    for part in parts:
        step = _child(path, part)
        if step is None:
            return None
        path = step
    if not path.resolve().is_relative_to(root):
        raise SourceNotReadable("the DICOMDIR names a file outside its folder")
    return path if path.is_file() else None


def _child(folder: Path, name: str) -> Path | None:
    """By name; else by its lower-case form, which many systems show of a CD."""
    for said in (name, name.lower()):
        if (folder / said).exists():
            return folder / said
    return None
