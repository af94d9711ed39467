"""Files of a container's run: written for it, and taken from what it left. Everything it left is doubted."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

from irp_training.domain.container_errors import OutputNotSafe, RuntimeRefused
from irp_training.domain.containers.archive import docker_manifest
from irp_training.domain.containers.limits import OUTPUT_DEPTH, OUTPUT_FILES
from irp_training.domain.containers.weights import weights

INPUT, OUTPUT, MODEL = "input", "output", "model"
SPARE = 1 << 30  # bytes that containers leave free on the volume; less where it is small
GZIP = b"\x1f\x8b"  # how such a file begins


def lay_out(folder: Path, files: Mapping[str, bytes], directories: Iterator[str] | tuple[str, ...] = ()) -> None:
    """Make `input` with its files and an empty `output` that anybody may write; both for one run only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in (INPUT, OUTPUT):
        shutil.rmtree(folder / left, ignore_errors=True)
    for path, data in files.items():
        place = folder / INPUT / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        place.chmod(0o444)
    # The container's user is not ours: what it shall write to must be open to all, inside a folder that is not.
    for path in ("", *directories):
        place = folder / OUTPUT / path
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o777)


def unpack_weights(archive: Path, folder: Path, limit: int) -> None:
    """Unpack weights into a folder, which is there as a whole or not at all; everybody may read them.

    Two may do it at the same time: whoever is ready first is taken.

    Raises:
        WeightsNotReadable: not such an archive.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    half = Path(tempfile.mkdtemp(prefix=f"{folder.name}.", suffix=".half", dir=folder.parent))
    try:
        half.chmod(0o755)
        with archive.open("rb") as file:
            for member, content in weights(file, limit):
                _unpack(half / member.name, content)
        with contextlib.suppress(OSError):
            half.rename(folder)
        if not folder.is_dir():
            raise RuntimeRefused("there is no place for the weights")
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _unpack(place: Path, content: IO[bytes] | None) -> None:
    if content is None:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("wb") as written:
        shutil.copyfileobj(content, written)
    place.chmod(0o444)


def packed(files: Mapping[str, bytes]) -> bytes:
    """Files as a tar archive."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def unpacked(data: bytes, limit: int) -> dict[str, bytes]:
    """A tar archive as files; nothing is written anywhere.

    Raises:
        OutputNotSafe: not an archive of plain files within bounds.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or len(found) >= OUTPUT_FILES or member.size > limit:
                    raise OutputNotSafe("the archive of outputs holds more than plain files within bounds")
                found[member.name] = content.read()
    except tarfile.TarError:
        raise OutputNotSafe("the archive of outputs cannot be read") from None
    return found


def make_loadable(path: Path, limit: int) -> None:
    """Give an archive in OCI's form docker's `manifest.json`, too; a compressed one stays as it is."""
    with path.open("rb") as file:
        if file.read(2) == GZIP:
            return
        file.seek(0)
        manifest = docker_manifest(file, limit)
    if manifest is not None:
        with tarfile.open(path, "a:") as archive:
            member = tarfile.TarInfo("manifest.json")
            member.size = len(manifest)
            archive.addfile(member, io.BytesIO(manifest))


def measure(folder: Path) -> tuple[int, int]:
    """Number and bytes of what lies below a folder, without following anything; what vanishes meanwhile is left out.

    A file that was unlinked while it is open has no name, and is not seen: see `require_space`.

    Raises:
        OutputNotSafe: a directory that is closed to us, or too deep.
    """
    count = size = 0
    for _, found in _walk(folder):
        count, size = count + 1, size + found.st_size
        if count > OUTPUT_FILES:
            break
    return count, size


def require_space(folder: Path) -> None:
    """Whatever takes it: files without a name, or all containers together.

    Raises:
        RuntimeRefused: the volume is almost full; it need not be this container's fault.
    """
    volume = shutil.disk_usage(folder)
    if volume.free < min(SPARE, volume.total // 20):
        raise RuntimeRefused("the volume of the containers' files is almost full")


def collect(folder: Path, limit: int) -> dict[str, bytes]:
    """Plain files by their path below the folder.

    Raises:
        OutputNotSafe: a link, a device, a closed directory, too many, too deep, or more bytes than `limit`.
    """
    found: dict[str, bytes] = {}
    total = 0
    for number, (path, status) in enumerate(_walk(folder), start=1):
        if stat.S_ISDIR(status.st_mode):
            continue
        total += status.st_size
        if not stat.S_ISREG(status.st_mode):
            raise OutputNotSafe("the container left a link or a special file")
        if number > OUTPUT_FILES or total > limit:
            raise OutputNotSafe(f"the container left more than {OUTPUT_FILES} files or {limit} bytes")
        found[path.relative_to(folder).as_posix()] = _read(path, limit)
    return found


def _walk(folder: Path, depth: int = 0) -> Iterator[tuple[Path, os.stat_result]]:
    if depth > OUTPUT_DEPTH:
        raise OutputNotSafe(f"the container left directories deeper than {OUTPUT_DEPTH}")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):  # it vanished
        return
    except OSError:  # closed: it may hold anything
        raise OutputNotSafe("the container left a directory that cannot be read") from None
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        except OSError:
            raise OutputNotSafe("the container left a directory that cannot be read") from None
        yield Path(entry.path), status
        if stat.S_ISDIR(status.st_mode):
            yield from _walk(Path(entry.path), depth + 1)


def _read(path: Path, limit: int) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(limit)
    except OSError:
        raise OutputNotSafe("the container left a file that cannot be read") from None
