"""Weights of containers, unpacked on disk for those that run: the latest few stay, and whatever is in use stays."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from irp_kernel import ObjectRef

from irp_training.adapters.container_files import unpack_weights

KEPT = 4  # unpacked, beside those in use
PREFIX = "irp-weights-"

Download = Callable[[ObjectRef], AbstractAsyncContextManager[Path]]


@dataclass(slots=True)
class Users:
    """Runs that use one folder, or wait for it."""

    count: int = 0
    unpacking: asyncio.Lock = field(default_factory=asyncio.Lock)


class UnpackedWeights:
    """Folders of weights, by their hash.

    Args:
        folder: where they lie.
        download: an archive as a file, for a while.
    """

    def __init__(self, folder: Path, download: Download) -> None:
        self._folder, self._download = folder, download
        self._users = dict[str, Users]()

    @contextlib.asynccontextmanager
    async def held(self, model: ObjectRef | None, limit: int) -> AsyncIterator[Path | None]:
        """Its folder, which stays until the end of the block; None if there are no weights.

        Args:
            model: the archive.
            limit: bytes that they unpack to.

        Raises:
            WeightsNotReadable: not such an archive.
        """
        if model is None:
            yield None
            return
        folder = self._folder / f"{PREFIX}{model.sha256[:32]}"
        users = self._users.setdefault(folder.name, Users())
        users.count += 1  # before the first look, so that nobody forgets it from here on
        try:
            async with users.unpacking:
                await self._ready(model, folder, limit)
            yield folder
        finally:
            users.count -= 1
            if users.count == 0:
                self._users.pop(folder.name)

    async def _ready(self, model: ObjectRef, folder: Path, limit: int) -> None:
        if await asyncio.to_thread(_used, folder):
            return
        async with self._download(model) as archive:
            await asyncio.to_thread(unpack_weights, archive, folder, limit)
        found = await asyncio.to_thread(_oldest_first, self._folder)
        # Nothing is awaited between the look at who uses what and the other name: whoever comes later finds it gone.
        free = [path for path in found if path.name.partition(".")[0] not in self._users]
        torn = [path for path in free if "." in path.name]  # of a process that was killed
        whole = [path for path in free if path not in torn]
        gone = [_renamed(path) for path in whole[: max(0, len(whole) - KEPT)]]
        for path in (*torn, *gone):
            await asyncio.to_thread(shutil.rmtree, path, ignore_errors=True)


def _used(folder: Path) -> bool:
    """Whether it is there; from now on as the latest."""
    with contextlib.suppress(OSError):
        os.utime(folder)
        return True
    return False


def _oldest_first(folder: Path) -> list[Path]:
    found = list[tuple[float, Path]]()
    for path in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(FileNotFoundError):  # another is removing it
            found.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(found)]


def _renamed(path: Path) -> Path:
    gone = path.with_name(f"{path.name}.gone")
    with contextlib.suppress(OSError):
        path.rename(gone)
    return gone
