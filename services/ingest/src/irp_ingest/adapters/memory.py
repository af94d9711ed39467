"""How much memory raw uploads may hold: a bound for the whole room, and a wait with an end."""

from __future__ import annotations

import asyncio

from irp_ingest.domain.errors import MemoryFull

WAIT_S = 20.0  # seconds; two uploads that wait for one another must not wait for ever


class MemoryBudget:
    """Bytes that may be held at the same time by all uploads together."""

    def __init__(self, limit_bytes: int) -> None:
        self._free = limit_bytes
        self._changed = asyncio.Condition()

    async def take(self, size: int) -> None:
        """Hold bytes.

        Raises:
            MemoryFull: others did not let go in time.
        """
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: self._free >= size), WAIT_S)
            except TimeoutError:
                raise MemoryFull from None
            self._free -= size

    async def give(self, size: int) -> None:
        """Let go."""
        async with self._changed:
            self._free += size
            self._changed.notify_all()
