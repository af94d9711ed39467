"""A run as it changes, until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from irp_training.app.ports import Store
from irp_training.domain.run import Metric, Run

LOOK_S = 0.5  # seconds between two looks at the row


class WatchRun:
    """Yields a run, its curves and how many runs are before it, whenever one of them has changed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, project: str, run_id: str) -> AsyncIterator[tuple[Run, list[Metric], int]]:
        """The present state at once, then each change; ends with the final state.

        Raises:
            RunUnknown: there is no such run.
        """
        seen = (0, 0)
        while True:
            run = await self._store.run(project, run_id)
            ahead = await self._store.ahead(run)
            if (run.version, ahead) != seen:
                seen = (run.version, ahead)
                yield run, await self._store.metrics(project, run_id), ahead
            if run.ended:
                return
            await asyncio.sleep(LOOK_S)
