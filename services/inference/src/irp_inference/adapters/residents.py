"""Loaded versions with their users: what is held is never taken away, what is not needed makes room for what is.

A version that several ask for is opened once, for all of them, and goes on being opened when they leave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from irp_kernel.errors import IrpError
from prometheus_client import Counter, Gauge

from irp_inference.adapters.opening import Opening
from irp_inference.adapters.serving_rows import Known
from irp_inference.app.ports import Loaded
from irp_inference.domain.residency import Key, Resident, leaving

LOADED = Gauge("irp_inference_loaded_models", "Model versions that are loaded")
LOADS = Counter("irp_inference_model_loads", "Model versions that were loaded", ["how"])


@dataclass(slots=True, eq=False)
class Entry:
    """A version that is loaded, or on its way.

    Attributes:
        opening: ends with it, or with the reason why not.
        loaded: itself, once it is ready.
        users: requests that hold it, or wait for it.
        last_used: monotonic clock.
    """

    opening: asyncio.Task[Loaded] = field(init=False)
    loaded: Loaded | None = None
    users: int = 0
    last_used: float = field(default_factory=time.monotonic)


class Residents:
    """Opens what is asked for, and closes what leaves with its last user.

    Args:
        opening: opens a version.
        budget_bytes: what loaded models may take together.
        needed: true for a version that makes no room for others.
        on_closed: told of each model that was unloaded.

    Attributes:
        failed: why a version was not loaded when it was last tried: a word of the error tree.
    """

    def __init__(
        self,
        opening: Opening,
        *,
        budget_bytes: int,
        needed: Callable[[Key], bool],
        on_closed: Callable[[Loaded], None],
    ) -> None:
        self._opening, self._budget, self._needed, self._on_closed = opening, budget_bytes, needed, on_closed
        self._entries: dict[Key, Entry] = {}
        self._coming: set[asyncio.Task[Loaded]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._renewing = asyncio.Lock()
        self.failed: dict[Key, str] = {}
        self._log = structlog.get_logger(part="shelf")

    @property
    def keys(self) -> list[Key]:
        """What is loaded or on its way."""
        return list(self._entries)

    def entry(self, key: Key) -> Entry | None:
        """A version that is loaded or on its way."""
        return self._entries.get(key)

    def loaded(self, key: Key) -> Loaded | None:
        """A version, if it is loaded."""
        entry = self._entries.get(key)
        return entry.loaded if entry else None

    @asynccontextmanager
    async def hold(self, key: Key) -> AsyncIterator[Loaded]:
        """A version that stays while it is held; opened if it is not here. Raises as Opening."""
        entry = self._entries.get(key) or await self._begin(key)
        entry.users += 1
        try:
            yield await asyncio.shield(entry.opening) if entry.loaded is None else entry.loaded
        finally:
            entry.users -= 1
            entry.last_used = time.monotonic()
            if self._entries.get(key) is not entry:
                self._close_unused(entry)

    async def renew(self, key: Key) -> None:
        """Open a loaded version anew and swap between two requests; if it cannot be opened, it serves on as it is."""
        async with self._renewing:
            before = self._entries.get(key)
            if before is None or before.loaded is None:
                return
            after = Entry()
            try:
                known = await self._opening.find(key)
                after.opening = self._opened(self._opening(known, self.make_room))
                after.loaded = await after.opening
            except IrpError as error:
                self._log.error("model_not_renewed", model=key[0], version=key[1], reason=error.reason)
                return
            if self._entries.get(key) is before:
                self.take_out(key)
                self._entries[key] = after
                LOADED.set(self._count())
            else:  # it was unloaded meanwhile
                self._close_unused(after)

    def make_room(self, coming: int) -> None:
        """Close what is not needed until `coming` more bytes fit. ModelsTooLarge if they do not."""
        residents = [
            Resident(
                key=key,
                size=entry.loaded.nets.memory_bytes,
                users=entry.users,
                last_used=entry.last_used,
                needed=self._needed(key),
            )
            for key, entry in self._entries.items()
            if entry.loaded is not None
        ]
        for key in leaving(residents, self._budget, coming):
            self.take_out(key)

    def take_out(self, key: Key) -> None:
        """Nobody finds it any more; it is closed with its last user, or given up if nobody waits for it."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            LOADED.set(self._count())
            self._close_unused(entry)

    async def close(self) -> None:
        """Let go of everything."""
        for task in self._coming:
            task.cancel()
        await asyncio.gather(*self._coming, return_exceptions=True)
        for key in self.keys:
            self.take_out(key)
        await asyncio.gather(*self._closing)

    async def _begin(self, key: Key) -> Entry:
        known = await self._opening.find(key)
        entry = self._entries.get(key)
        if entry is None:  # else another request was faster
            entry = self._entries[key] = Entry()
            entry.opening = self._opened(self._arrive(known, entry))
        return entry

    def _opened(self, work: Coroutine[Any, Any, Loaded]) -> asyncio.Task[Loaded]:
        task = asyncio.create_task(work)
        self._coming.add(task)
        task.add_done_callback(self._has_come)
        return task

    def _has_come(self, task: asyncio.Task[Loaded]) -> None:
        self._coming.discard(task)
        if not task.cancelled():
            task.exception()  # heard, though all who waited for it have left

    async def _arrive(self, known: Known, entry: Entry) -> Loaded:
        key = known.key
        try:
            loaded = await self._opening(known, self.make_room)
        except BaseException as error:
            if self._entries.get(key) is entry:
                del self._entries[key]
            if isinstance(error, IrpError):
                self.failed[key] = error.reason
            raise
        entry.loaded, entry.last_used = loaded, time.monotonic()
        self.failed.pop(key, None)
        LOADS.labels("loaded").inc()
        LOADED.set(self._count())
        if self._entries.get(key) is not entry:  # it was unloaded meanwhile
            self._close_unused(entry)
        return loaded

    def _close_unused(self, entry: Entry) -> None:
        if entry.users:
            return
        if entry.loaded is None:
            entry.opening.cancel()
            return
        LOADS.labels("unloaded").inc()
        self._on_closed(entry.loaded)
        task = asyncio.create_task(entry.loaded.nets.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _count(self) -> int:
        return sum(entry.loaded is not None for entry in self._entries.values())
