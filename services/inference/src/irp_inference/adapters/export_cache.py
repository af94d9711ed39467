"""The folder of exported networks: bounded, by digest, each folder whole or not at all and checked by hash.

Knows files only: a room looks here without importing what opens networks.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import IO

from irp_kernel import sha256_of

MANIFEST, PROBE, BUNDLE = "manifest.json", "probe.npz", "bundle.zip"
UNFINISHED, ROOMS = ".building-", ".rooms"


def enter(cache: Path) -> IO[bytes]:
    """Use a cache until the file is closed; who enters while nobody else is in it removes what killed rooms left."""
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    rooms = (cache / ROOMS).open("ab")
    with suppress(BlockingIOError):  # what other rooms are building looks the same
        fcntl.flock(rooms, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for left in cache.glob(f"{UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
    fcntl.flock(rooms, fcntl.LOCK_SH)
    return rooms


@contextmanager
def unfinished(cache: Path) -> Iterator[Path]:
    """A folder of the cache to build in, gone at the end; a killed room's goes when the next room enters."""
    building = Path(tempfile.mkdtemp(dir=cache, prefix=UNFINISHED))
    try:
        yield building
    finally:
        shutil.rmtree(building, ignore_errors=True)


def lay_out(folder: Path, write: Callable[[Path], None], within: Path) -> None:
    """Make a folder of the cache, with its manifest: whole, or not at all.

    Args:
        folder: where it shall lie.
        write: puts its files into an empty folder.
        within: where it is built; on the same disk.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with unfinished(within) as building:
        write(building)
        hashes = {path.name: sha256_of(path.read_bytes()) for path in building.iterdir()}
        (building / MANIFEST).write_text(json.dumps(hashes))
        try:
            building.rename(folder)
        except OSError:
            if not folder.exists():  # else another room was faster
                raise


def use(folder: Path) -> IO[bytes]:
    """Hold a folder: it is not pruned until the file is closed, or its process has ended."""
    held = (folder / MANIFEST).open("rb")
    fcntl.flock(held, fcntl.LOCK_SH)
    return held


def folder_of(cache: Path, digest: str) -> Path:
    """Where a bundle's networks lie, for this version of OpenVINO."""
    return cache / f"{digest}-{version('openvino')}"


def is_whole(folder: Path) -> bool:
    """True if every file is there and is what was written; says that the folder is in use."""
    try:
        hashes = json.loads((folder / MANIFEST).read_text())
        os.utime(folder)
        return all(sha256_of((folder / name).read_bytes()) == known for name, known in hashes.items())
    except (OSError, ValueError, AttributeError):
        return False


def prune(cache: Path, keep: Path, limit_bytes: int) -> None:
    """The least recently used folders go first, but for those that are held: a process may have to load again."""
    finished = (f for f in cache.iterdir() if f.is_dir() and f != keep and not f.name.startswith(UNFINISHED))
    folders = sorted(finished, key=lambda f: f.stat().st_mtime)
    sizes = {folder: sum(path.stat().st_size for path in folder.iterdir()) for folder in [*folders, keep]}
    total = sum(sizes.values())
    for folder in folders:
        if total > limit_bytes and not _is_held(folder):
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def _is_held(folder: Path) -> bool:
    try:
        with (folder / MANIFEST).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # never finished
        return False
    return False
