"""Folders for a while: what a process holds is locked, so that what a killed one left is known from it, and removed.

The lock is the kernel's and goes with its process: several rooms, and several houses, may share one place.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

ARCHIVES, RUNS = "irp-archive-", "irp-container-"  # how names of folders begin: what comes or is loaded; what runs


class Scratch:
    """Where they lie; None = the system's own place for temporary files."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path(tempfile.gettempdir())

    @contextlib.contextmanager
    def held(self, prefix: str) -> Iterator[Path]:
        """A new folder that nobody sweeps until the end of the block; whoever holds it empties it."""
        folder, lock = self._locked(prefix)
        try:
            yield folder
        finally:
            os.close(lock)

    @contextlib.contextmanager
    def archives(self) -> Iterator[Path]:
        """A new folder for archives, which goes at the end of the block."""
        with self.held(ARCHIVES) as folder:
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def sweep(self, prefix: str, forget: Callable[[Path], Awaitable[None]]) -> None:
        """Have everything forgotten that is ours and whose process is gone."""
        for path in await asyncio.to_thread(lambda: [*self.folder.glob(f"{prefix}*")]):
            if (lock := _lock(path)) is not None:
                try:
                    await forget(path)
                finally:
                    os.close(lock)

    async def sweep_archives(self) -> None:
        """Remove archives that nobody is sending or loading any more."""

        async def forget(path: Path) -> None:
            await asyncio.to_thread(removed, path)

        await self.sweep(ARCHIVES, forget)

    def _locked(self, prefix: str) -> tuple[Path, int]:
        self.folder.mkdir(parents=True, exist_ok=True)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self.folder))
            # Between the two lines another process may have taken it for one that was left.
            if (lock := _lock(folder)) is not None:
                return folder, lock


def removed(path: Path) -> bool:
    """Remove a folder or a file; False if something of it cannot be."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink()
    return not path.exists()


def _lock(path: Path) -> int | None:
    """Its lock, as an open file; None if somebody has it, or it is gone, or another user's."""
    try:
        lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    with contextlib.suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(lock).st_uid == os.getuid() and path.exists():
            return lock
    os.close(lock)
    return None
