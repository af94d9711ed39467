"""Files of a source: in a folder, or entries of a ZIP archive, which is never unpacked to disk.

What is not believed: the sizes that an archive states.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

MAX_FILE_BYTES = 512 << 20  # as ingest's default; larger files are told of and not sent
MAX_RATIO = 200  # inflated to packed size, of entries beyond `SMALL_BYTES`: images reach 100
SMALL_BYTES = 16 << 20
# zipfile inflates these piece by piece; of others (bzip2, LZMA) one small piece may become gigabytes
PACKINGS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


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


def _read(file: IO[bytes], limit: int) -> bytes:
    pieces, size = [], 0
    while size < limit and (piece := file.read(min(1 << 20, limit - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)
