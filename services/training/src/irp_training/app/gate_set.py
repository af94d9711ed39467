"""On whom the gate judges: on everybody whom the project holds out for it, whatever the candidate was taught on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from irp_kernel.errors import Aborted

from irp_training.app.count_judged import CountJudged
from irp_training.app.keep_dataset import KeepDataset
from irp_training.app.line_of_champions import line_of_champions
from irp_training.app.ports import Objects, Store
from irp_training.app.sequences_for import SequencesFor
from irp_training.app.settle_older import SettleOlder
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.datasets.dataset import freeze
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.datasets.split import Splits
from irp_training.domain.errors import ModelReportUnknown
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow

GATE = "gate"  # stands where the name of a person stands who freezes
ATTEMPTS = 5  # against others who freeze in the same project at the same moment; then ABORTED


class GateSet:
    """Freezes the project's validation patients as they are now; nobody is placed for it."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects
        self._settle_older, self._count_judged = SettleOlder(store, objects), CountJudged(store, objects)
        self._sequences_for, self._keep = SequencesFor(store, objects), KeepDataset(store, objects)

    async def __call__(self, candidate: Model) -> DatasetRow | None:
        """Every accepted mask of a validation patient, of the sequences that the name is for; None = there is none.

        Raises:
            Aborted: others froze all the while.
        """
        champions = await line_of_champions(self._store, candidate.ref.name)
        project = await self._home(candidate, champions)
        if project is None:
            return None
        await self._settle_older(project)
        rules = Rules(sequence_classes=tuple(await self._sequences_for(candidate, champions, project)))
        for _ in range(ATTEMPTS - 1):
            try:
                return await self._freeze(project, rules)
            except Aborted:
                continue
        return await self._freeze(project, rules)

    async def _freeze(self, project: str, rules: Rules) -> DatasetRow | None:
        seen = await self._store.placements(project)
        judging = {patient for patient, one in seen.items() if one.part == "validation"}
        cases = await self._store.cases(project)
        kept = await self._count_judged(project, [c for c in cases if c.patient in judging and rules.admit(c)])
        if not kept:
            return None
        snapshot = await asyncio.to_thread(freeze, project, kept, Splits(placed=seen), rules)
        return await self._keep(snapshot, seen, GATE)

    async def _home(self, candidate: Model, champions: Sequence[Model]) -> str | None:
        """Project of the newest champion that a run made; else of the candidate's run; else whose set is known."""
        for model in (*champions, candidate):
            if model.run is not None:
                return model.run[0]
        found = await self._store.newest_dataset(candidate.ref.name) or await self._reported(candidate)
        return (await read_snapshot(self._objects, found.manifest)).project if found else None

    async def _reported(self, candidate: Model) -> DatasetRow | None:
        """Where no run ever made a version: what whoever pushed this one had it judged on."""
        try:
            return (await self._store.appraisal(candidate.ref.name, candidate.ref.version)).dataset
        except ModelReportUnknown:
            return None
