"""Accepted masks -> an immutable dataset, and a place for good for each of its patients."""

from __future__ import annotations

import asyncio

from irp_kernel.errors import Aborted

from irp_training.app.configuration import Configurations
from irp_training.app.count_judged import CountJudged
from irp_training.app.keep_dataset import KeepDataset
from irp_training.app.ports import Objects, Project, Store
from irp_training.app.settle_older import SettleOlder
from irp_training.domain.datasets.dataset import freeze
from irp_training.domain.datasets.inclusion import EVERYTHING, Rules
from irp_training.domain.datasets.split import Splits
from irp_training.domain.run import DatasetRow

ATTEMPTS = 5  # against others who freeze in the same project at the same moment; then ABORTED


class CreateDataset:
    """Freezes what is accepted now; the same facts and rules give the same digest, and nothing new is stored."""

    def __init__(self, store: Store, objects: Objects, configurations: Configurations) -> None:
        self._store, self._configurations = store, configurations
        self._count_judged, self._settle_older = CountJudged(store, objects), SettleOlder(store, objects)
        self._keep = KeepDataset(store, objects)

    async def __call__(self, project: Project, rules: Rules = EVERYTHING, actor: str = "") -> DatasetRow:
        """Freeze the project's accepted masks.

        Raises:
            DatasetEmpty: none that the rules admit.
            PatientLeak: the configuration names a patient in two splits.
            FrozenPatient: it names another split for a patient who is held out.
        """
        await self._settle_older(project.id)
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._freeze(project, rules, actor)
            except Aborted:
                continue
        return await self._freeze(project, rules, actor)

    async def _freeze(self, project: Project, rules: Rules, actor: str) -> DatasetRow:
        seen = await self._store.placements(project.id)
        splits = Splits.from_configuration(await self._configurations.of(project), seen)
        cases = await self._count_judged(project.id, await self._store.cases(project.id))
        # Thousands of cases take a second: not on the event loop.
        snapshot = await asyncio.to_thread(freeze, project.id, cases, splits, rules)
        async with self._store.change() as change:
            await change.remember_project(project)
        return await self._keep(snapshot, seen, actor)
