"""How much of each structure a mask judges, read from the mask where its acceptance did not say it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from irp_kernel import decode_mask

from irp_training.app.ports import Objects, Store
from irp_training.domain.datasets.dataset import Case


class CountJudged:
    """Reads each such mask once; its row then knows."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects

    async def __call__(self, project: str, cases: Iterable[Case]) -> list[Case]:
        """The same cases; what each judges is known."""
        return [case if case.judged is not None else await self._count(project, case) for case in cases]

    async def _count(self, project: str, case: Case) -> Case:
        judged = await asyncio.to_thread(judged_by, await self._objects.get(case.mask))
        counted = replace(case, judged=judged)
        async with self._store.change() as change:
            await change.remember_judged(project, counted)
        return counted


def judged_by(data: bytes) -> dict[str, int]:
    """Structure -> (time, slice) pairs on which it was judged, of a mask's file."""
    mask = decode_mask(data)
    return {name: int(mask.judged(name).sum()) for name in mask.table.names}
