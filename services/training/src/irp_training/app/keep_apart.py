"""Nobody who is held out is learnt from: neither by a run, nor by what its base has learnt from before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from irp_training.app.ports import Objects, Store
from irp_training.domain.dataset import Snapshot
from irp_training.domain.errors import FrozenPatient, PatientLeak
from irp_training.domain.placing import HELD_OUT
from irp_training.domain.run import DatasetRow, ModelRef

KEPT = 256  # datasets of which is remembered what was learnt
LONGEST_LINE = 1000  # ancestors of a base that are asked


@dataclass(frozen=True, slots=True)
class Learnt:
    """What a dataset taught: pseudonyms, which mean something in its project only, and hashes of images."""

    project: str
    patients: frozenset[str]
    volumes: frozenset[str]


class KeepApart:
    """Fails a run before it begins."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects
        self._kept: dict[str, Learnt] = {}

    async def __call__(self, project: str, dataset: DatasetRow, base: ModelRef | None) -> None:
        """Check a run's dataset, and every dataset that its base comes of.

        Raises:
            FrozenPatient: the dataset teaches somebody whom a frozen dataset of the project holds out.
            PatientLeak: the base, or one of its ancestors, has learnt from somebody who is held out, or from an
                image that is: in another project the same patient has another pseudonym, but the same image has the
                same hash.
        """
        snapshot = await self._read(dataset)
        places = await self._store.placements(project)
        held = {patient for patient, one in places.items() if one.part in HELD_OUT}
        if held & snapshot.patients("training"):
            raise FrozenPatient("the dataset teaches a patient of the frozen validation or test set")
        held |= snapshot.patients(*HELD_OUT)
        images = {case.volume.sha256 for part in HELD_OUT for case in snapshot.of(part)}
        async for ancestor, learnt in self._line_of(base):
            if images & learnt.volumes or (learnt.project == project and held & learnt.patients):
                raise PatientLeak(f"the base has learnt from a patient who is held out now (by {ancestor})")

    async def _line_of(self, base: ModelRef | None) -> AsyncIterator[tuple[ModelRef, Learnt]]:
        """The base and its ancestors, as far as this registry knows what they learnt from."""
        for _ in range(LONGEST_LINE):
            if base is None:
                return
            model = await self._store.model(base.name, base.version)
            run = await self._store.run(*model.run) if model.run else None
            dataset = run.dataset if run else await self._store.dataset(model.dataset_digest)
            if dataset is not None:
                yield base, await self._learnt(dataset)
            base = run.base if run else None

    async def _learnt(self, dataset: DatasetRow) -> Learnt:
        if dataset.digest not in self._kept:
            snapshot = await self._read(dataset)
            while len(self._kept) >= KEPT:
                self._kept.pop(next(iter(self._kept)))
            volumes = frozenset(case.volume.sha256 for case in snapshot.of("training"))
            self._kept[dataset.digest] = Learnt(snapshot.project, snapshot.patients("training"), volumes)
        return self._kept[dataset.digest]

    async def _read(self, dataset: DatasetRow) -> Snapshot:
        data = await self._objects.get(dataset.manifest)
        return await asyncio.to_thread(Snapshot.from_manifest, data)
