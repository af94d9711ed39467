"""Where the heart is in a volume: found once, whoever asks, and not begun anew because its first asker left."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from irp_bundle import Located
from irp_kernel import Volume

from irp_inference.app.drive import Drive
from irp_inference.app.ports import Loaded, Ticket, Windows

LINGER_S = 1.0  # a reader who scrolls leaves one slice and is at the next one within that time


@dataclass(slots=True)
class _Looking:
    task: asyncio.Task[Located]
    waiting: int = 0


class Locations:
    """Stage 1 looks at a whole series, once per model."""

    def __init__(self, windows: Windows, drive: Drive, linger_s: float = LINGER_S) -> None:
        self._windows, self._drive, self._linger_s = windows, drive, linger_s
        self._looking: dict[str, _Looking] = {}

    async def find(self, sha256: str, volume: Volume, model: Loaded, ticket: Ticket) -> Located:
        """What stage 1 says of the volume with this hash; a search that nobody waits for ends after a moment."""
        key = f"{sha256}/{model.identity}"
        known = self._windows.get(key)
        if known is not None:
            return known
        looking = self._looking.get(key)
        if looking is None:
            # Without the asker's time and turn: others may wait for it too.
            own = Ticket(project=ticket.project, lane=ticket.lane)
            task = asyncio.create_task(self._drive(model.steps.locate(volume), model, own))
            looking = self._looking[key] = _Looking(task)
            task.add_done_callback(lambda done: self._found(key, done))
        looking.waiting += 1
        try:
            return await asyncio.shield(looking.task)
        finally:
            looking.waiting -= 1
            if not looking.waiting and not looking.task.done():
                asyncio.get_running_loop().call_later(self._linger_s, self._leave, looking)

    def _found(self, key: str, task: asyncio.Task[Located]) -> None:
        self._looking.pop(key, None)
        if not task.cancelled() and task.exception() is None:
            self._windows.put(key, task.result(), 1)

    def _leave(self, looking: _Looking) -> None:
        if not looking.waiting:
            looking.task.cancel()
