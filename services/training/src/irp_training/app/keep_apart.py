"""Nobody who is held out is learnt from: neither by a run, nor by what its base has learnt from before."""

from __future__ import annotations

from collections.abc import Set

from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Objects, Store
from irp_training.app.settle_older import SettleOlder
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.datasets.placing import HELD_OUT
from irp_training.domain.errors import FrozenPatient, PatientLeak
from irp_training.domain.run import DatasetRow, ModelRef


class KeepApart:
    """Fails a run before it begins."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects
        self._learnt_from, self._settle_older = LearntFrom(store, objects), SettleOlder(store, objects)

    async def __call__(self, project: str, dataset: DatasetRow, base: ModelRef | None) -> None:
        """Check a run's dataset, and every dataset that its base comes of.

        Raises:
            FrozenPatient: the dataset teaches somebody whom a frozen dataset of the project holds out.
            PatientLeak: the dataset teaches an image that the project holds out, whoever's pseudonym it bears; or the
                base, or one of its ancestors, has learnt from somebody who is held out, or from an image that is. Of
                another site, or in another project, the same person has another pseudonym, but the same image has the
                same hash.
        """
        await self._settle_older(project)
        snapshot = await read_snapshot(self._objects, dataset.manifest)
        places = await self._store.placements(project)
        held = {patient for patient, one in places.items() if one.part in HELD_OUT}
        if held & snapshot.patients("training"):
            raise FrozenPatient("the dataset teaches a patient of the frozen validation or test set")
        images = snapshot.images(*HELD_OUT) | await self._images(project, held)
        if images & snapshot.images("training"):
            raise PatientLeak("the same image is taught and held out, under two pseudonyms")
        people = {(project, patient) for patient in held | snapshot.patients(*HELD_OUT)}
        if base is not None:
            await self._require_unseen(base, people, images)

    async def _images(self, project: str, held: Set[str]) -> set[str]:
        """That any frozen dataset holds out, whatever rules this run's has; and what came since of the same people."""
        came = {case.volume.sha256 for case in await self._store.cases(project) if case.patient in held}
        return came | await self._store.held_out_images(project)

    async def _require_unseen(self, base: ModelRef, people: Set[tuple[str, str]], images: Set[str]) -> None:
        learnt = await self._learnt_from(await self._store.model(base.name, base.version))
        if images & learnt.volumes or people & learnt.patients:
            raise PatientLeak(f"{base}, or a model that it came from, has learnt from a patient who is held out now")
