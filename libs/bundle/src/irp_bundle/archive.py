"""A bundle's ZIP, read as if an enemy had packed it, and written so that equal content gives equal bytes."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from irp_bundle.errors import BundleBroken, BundleTooLarge, BundleUnsafe

EPOCH = (1980, 1, 1, 0, 0, 0)  # ZIP's own beginning: no clock in a digest
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of what is unpacked.

    Attributes:
        archive_bytes: the ZIP itself.
        unpacked_bytes: all entries together.
        entries: number of entries.
        ratio: unpacked to packed length of one entry; beyond it is a bomb.
        text_bytes: one configuration, card or licence.
        parameters: numbers in one network.
    """

    archive_bytes: int = 1 << 30
    unpacked_bytes: int = 2 << 30
    entries: int = 256
    ratio: float = 200.0
    text_bytes: int = 4 << 20
    parameters: int = 200_000_000


DEFAULT_LIMITS = Limits()


def unpack(data: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """ZIP bytes -> path below the bundle's folder -> bytes. Nothing touches a disk.

    Raises:
        BundleBroken: not a ZIP, damaged, or not one folder.
        BundleUnsafe: a path leaves the folder, a link, an encrypted or doubled entry.
        BundleTooLarge: a limit is passed.
    """
    return _below_root(read_entries(data, limits))


def read_entries(data: bytes, limits: Limits) -> dict[str, bytes]:
    """ZIP bytes -> path -> bytes, whatever lies in it; raises as `unpack`."""
    if len(data) > limits.archive_bytes:
        raise BundleTooLarge(limit_bytes=limits.archive_bytes)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check_entries(entries, limits)
            return {entry.filename: _read(archive, entry) for entry in entries}
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as cause:
        raise BundleBroken("the bundle is not a readable ZIP") from cause


def pack(root: str, files: Mapping[str, bytes]) -> bytes:
    """Files -> ZIP below one folder; sorted, stored, dateless, so that the digest says the content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(files):
            entry = zipfile.ZipInfo(f"{root}/{path}", EPOCH)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.create_system = 3
            archive.writestr(entry, files[path])
    return buffer.getvalue()


def check_stored_zip(data: bytes, limits: Limits) -> None:
    """A weights file is itself a ZIP: refuse one that grows when it is opened.

    Raises:
        BundleBroken: it is not a ZIP.
        BundleUnsafe: a compressed or foreign entry.
        BundleTooLarge: too many entries or bytes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as cause:
        raise BundleBroken("a weights file is not a PyTorch ZIP") from cause
    if len(entries) > 64 * limits.entries or sum(entry.file_size for entry in entries) > limits.unpacked_bytes:
        raise BundleTooLarge(limit_bytes=limits.unpacked_bytes)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise BundleUnsafe("a weights file holds compressed entries")


def _check_entries(entries: list[zipfile.ZipInfo], limits: Limits) -> None:
    if len(entries) > limits.entries:
        raise BundleTooLarge(limit_entries=limits.entries)
    if sum(entry.file_size for entry in entries) > limits.unpacked_bytes:
        raise BundleTooLarge(limit_bytes=limits.unpacked_bytes)
    if len({entry.filename for entry in entries}) != len(entries):
        raise BundleUnsafe("the bundle holds two entries of one name")
    for entry in entries:
        _check_entry(entry, limits)


def _check_entry(entry: zipfile.ZipInfo, limits: Limits) -> None:
    path, mode = PurePosixPath(entry.filename), entry.external_attr >> 16
    if path.is_absolute() or ".." in path.parts or "\\" in entry.filename or ":" in entry.filename:
        raise BundleUnsafe("a path leaves the bundle's folder")
    if mode and not (stat.S_ISREG(mode) or stat.S_IFMT(mode) == 0):
        raise BundleUnsafe("the bundle holds a link or a device")
    if entry.flag_bits & 0x1:
        raise BundleUnsafe("the bundle is encrypted")
    if entry.file_size > limits.ratio * max(entry.compress_size, 1):
        raise BundleTooLarge("an entry is packed beyond the allowed ratio", limit_ratio=limits.ratio)


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Read one entry, believing its stated length only as an upper bound."""
    pieces, left = [], entry.file_size
    with archive.open(entry) as source:
        while piece := source.read(min(CHUNK, left + 1)):
            left -= len(piece)
            if left < 0:
                raise BundleUnsafe("an entry is longer than it says")
            pieces.append(piece)
    return b"".join(pieces)


def _below_root(files: dict[str, bytes]) -> dict[str, bytes]:
    """Strip the bundle's folder; a ZIP of the bare content is taken too."""
    if "configs/metadata.json" in files:
        return files
    roots = {path.split("/", 1)[0] for path in files if "/" in path}
    kept = {path.split("/", 1)[1]: data for path, data in files.items() if "/" in path}
    if len(roots) != 1 or "configs/metadata.json" not in kept:
        raise BundleBroken("the bundle is not one folder with configs/metadata.json")
    return kept
