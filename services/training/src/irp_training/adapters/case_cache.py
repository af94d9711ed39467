"""Case files on local disk, unpacked, by the hash of what was stored: a second run neither downloads nor inflates them.

Objects come in, paths that a process may map into memory go out. Beyond its bound it forgets what was not used for
longest, and never what a run may still be about to open. It is never the only copy of anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog
from irp_kernel import ObjectRef
from irp_kernel.codec import unpacked

from irp_training.app.ports import Files

GRACE_S = 600.0  # seconds since its last use in which a file is not forgotten


class CaseCache:
    """A way to read case files; see `irp_training.app.ports.Files`.

    Args:
        objects: where they come from.
        folder: made if it is not there; nobody else may look into it.
        limit_bytes: of all files together.
        now: seconds since the epoch, as file systems count them.
    """

    def __init__(self, objects: Files, folder: Path, limit_bytes: int, now: Callable[[], float] = time.time) -> None:
        self._objects, self._folder, self._limit_bytes, self._now = objects, folder, limit_bytes, now
        self._log = structlog.get_logger()

    async def get(self, ref: ObjectRef) -> bytes | Path:
        """The path of the unpacked file; its bytes if there is no room for it."""
        known = await asyncio.to_thread(self._find, ref)
        if known is not None:
            return known
        data = await self._objects.get(ref)
        return await asyncio.to_thread(self._keep, ref, data) if isinstance(data, bytes) else data

    def _find(self, ref: ObjectRef) -> Path | None:
        path = self._folder / ref.sha256
        with contextlib.suppress(OSError):
            os.utime(path, (self._now(), self._now()))
            return path
        return None

    def _keep(self, ref: ObjectRef, data: bytes) -> bytes | Path:
        try:
            plain = unpacked(data)
            if not self._make_room(len(plain)):
                return data
            return self._write(ref, plain)
        except OSError as error:  # a full or broken disk costs time, and no run
            self._log.warning("case_not_cached", error=type(error).__name__)
            return data

    def _write(self, ref: ObjectRef, plain: bytes) -> Path:
        path = self._folder / ref.sha256
        # A name of its own: two containers that share the folder may have the same process number.
        number, name = tempfile.mkstemp(dir=self._folder, suffix=".new")
        draft = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(plain)
                file.flush()
                os.fsync(number)
            os.utime(draft, (self._now(), self._now()))
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return path

    def _make_room(self, wanted: int) -> bool:
        """Forget the least recently used until so many bytes more would fit."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted((entry.stat().st_mtime, entry.stat().st_size, entry.path) for entry in os.scandir(self._folder))
        free = self._limit_bytes - sum(size for _, size, _ in found)
        for used_at, size, path in found:
            if free >= wanted or self._now() - used_at < GRACE_S:
                break
            Path(path).unlink(missing_ok=True)
            free += size
        return free >= wanted
