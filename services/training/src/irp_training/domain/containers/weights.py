"""Weights beside a container: a tar archive of plain files and directories, which it finds in /opt/ml/model.

Source: Grand Challenge algorithm contract: `/opt/ml/model` is the extracted model archive, read-only.
"""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from irp_training.domain.container_errors import WeightsNotReadable

MEMBERS = 10_000
DEPTH = 16  # directories


def weights_size(file: BinaryIO, limit: int) -> int:
    """Bytes that an archive of weights unpacks to; it is read once, as a stream.

    Raises:
        WeightsNotReadable: not such an archive, or larger than `limit`.
    """
    return sum(member.size for member, _ in weights(file, limit))


def weights(file: BinaryIO, limit: int) -> Iterator[tuple[tarfile.TarInfo, BinaryIO | None]]:
    """Each member with its content (None: a directory), in the archive's order; names are relative and harmless.

    Raises:
        WeightsNotReadable: as above.
    """
    total = 0
    try:
        with tarfile.open(fileobj=file, mode="r|*") as archive:
            for number, member in enumerate(archive):
                total += member.size
                if number >= MEMBERS or total > limit:
                    raise WeightsNotReadable(f"at most {MEMBERS} members and {limit} bytes")
                _require_harmless(member)
                yield member, archive.extractfile(member) if member.isreg() else None  # type: ignore[misc]
    except (tarfile.TarError, zlib.error, EOFError, OSError):
        raise WeightsNotReadable("the archive is not a tar file, or ends too early") from None


def _require_harmless(member: tarfile.TarInfo) -> None:
    path = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise WeightsNotReadable("only plain files and directories: no links, no devices")
    if path.is_absolute() or ".." in path.parts or len(path.parts) > DEPTH:
        raise WeightsNotReadable("names stay inside the archive, and are not too deep")
