"""What a model has learnt from, back through every model that its weights came from."""

from __future__ import annotations

from dataclasses import dataclass

from irp_training.app.kept import Kept
from irp_training.app.ports import Objects, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow

GENERATIONS = 1000  # fine-tunings in a row; beyond, the past is not known
KEPT = 256  # datasets whose pupils are remembered


@dataclass(frozen=True, slots=True)
class Learnt:
    """What was taught.

    Attributes:
        patients: (project, pseudonym): a pseudonym means somebody in its project only.
        volumes: SHA-256 of images: the same image has the same hash in every project.
        whole: False where a model of the line was pushed, or came with the house: more may have been taught.
    """

    patients: frozenset[tuple[str, str]]
    volumes: frozenset[str]
    whole: bool

    def knows(self, project: str, case: Case) -> bool:
        """The patient was taught, or the image, which is the same in every project."""
        return (project, case.patient) in self.patients or case.volume.sha256 in self.volumes


class LearntFrom:
    """Reads the datasets of a model's run, of its base's run, and so on; of a pushed model its own, if it is known."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects
        self._kept: Kept[Learnt] = Kept(KEPT)

    async def __call__(self, model: Model) -> Learnt:
        """What is known."""
        patients, volumes = set[tuple[str, str]](), set[str]()
        whole, left = False, GENERATIONS
        ancestor: Model | None = model
        while ancestor is not None and left:
            left -= 1
            run = await self._store.run(*ancestor.run) if ancestor.run else None
            dataset = run.dataset if run else await self._store.dataset(ancestor.dataset_digest)
            if dataset is not None:
                taught = await self._taught_by(dataset)
                patients |= taught.patients
                volumes |= taught.volumes
            whole = run is not None and run.base is None
            ancestor = await self._store.model(run.base.name, run.base.version) if run and run.base else None
        return Learnt(frozenset(patients), frozenset(volumes), whole)

    async def _taught_by(self, dataset: DatasetRow) -> Learnt:
        if dataset.digest not in self._kept:
            snapshot = await read_snapshot(self._objects, dataset.manifest)
            self._kept[dataset.digest] = Learnt(
                patients=frozenset((snapshot.project, patient) for patient in snapshot.patients("training")),
                volumes=snapshot.images("training"),
                whole=True,
            )
        return self._kept[dataset.digest]
