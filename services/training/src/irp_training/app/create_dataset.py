"""Accepted masks -> an immutable dataset, and a place for good for each of its patients."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from irp_kernel import sha256_of
from irp_kernel.errors import Aborted

from irp_training.app.configuration import Configurations
from irp_training.app.count_judged import CountJudged
from irp_training.app.ports import Objects, Project, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.datasets.dataset import Case, Snapshot, freeze
from irp_training.domain.datasets.inclusion import EVERYTHING, Rules
from irp_training.domain.datasets.placing import PARTS
from irp_training.domain.datasets.split import Splits
from irp_training.domain.run import DatasetRow

ATTEMPTS = 5  # against others who freeze in the same project at the same moment; then ABORTED


class CreateDataset:
    """Freezes what is accepted now; the same facts and rules give the same digest, and nothing new is stored."""

    def __init__(self, store: Store, objects: Objects, configurations: Configurations) -> None:
        self._store, self._objects, self._configurations = store, objects, configurations
        self._count_judged = CountJudged(store, objects)

    async def __call__(self, project: Project, rules: Rules = EVERYTHING, actor: str = "") -> DatasetRow:
        """Freeze the project's accepted masks.

        Raises:
            DatasetEmpty: none that the rules admit.
            PatientLeak: the configuration names a patient in two splits.
            FrozenPatient: it names another split for a patient who is held out.
        """
        await self._settle_older(project)
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
        snapshot, manifest = await asyncio.to_thread(_frozen, project.id, cases, splits, rules)
        dataset = await self._keep(snapshot, manifest, actor)
        async with self._store.change() as change:
            await change.remember_project(project)
            await change.settle(project.id, dataset.digest, snapshot.placements(), seen)
            return await change.add_dataset(project.id, dataset)

    async def _keep(self, snapshot: Snapshot, manifest: bytes, actor: str) -> DatasetRow:
        digest = sha256_of(manifest)
        ref = await self._objects.put(
            manifest,
            project=snapshot.project,
            entity="dataset",
            id=digest[:16],
            kind="manifest",
            media_type="application/json",
            extension="json",
        )
        return DatasetRow(
            digest=digest,
            manifest=ref,
            training=snapshot.count("training"),
            validation=snapshot.count("validation"),
            test=snapshot.count("test"),
            patients=patients_of(snapshot),
            rules=json.dumps(snapshot.rules.to_json(), sort_keys=True),
            actor=actor,
        )

    async def _settle_older(self, project: Project) -> None:
        """Datasets that were frozen before places were kept hold patients out, too; and their patients are counted."""
        for dataset in await self._store.older_datasets(project.id):
            snapshot = await read_snapshot(self._objects, dataset.manifest)
            counted = replace(dataset, patients=patients_of(snapshot))
            async with self._store.change() as change:
                await change.settle_older(project.id, counted, snapshot.placements())


def _frozen(project: str, cases: list[Case], splits: Splits, rules: Rules) -> tuple[Snapshot, bytes]:
    snapshot = freeze(project, cases, splits, rules)
    return snapshot, snapshot.manifest()


def patients_of(snapshot: Snapshot) -> dict[str, int]:
    """Number of patients per split."""
    return {part: len(snapshot.patients(part)) for part in PARTS}
