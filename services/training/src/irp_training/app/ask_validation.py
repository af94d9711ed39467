"""A validation is asked for -> a queued job, once per version, dataset and split."""

from __future__ import annotations

from irp_training.app.create_dataset import CreateDataset
from irp_training.app.frozen_set import FrozenSet
from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Clock, Objects, Project, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.errors import ModelSawPatients, NoFrozenSet
from irp_training.domain.run import DatasetRow
from irp_training.domain.validations.certificate import Validation, split_of, validation_id


class AskValidation:
    """Queues a validation, if the model has not learnt from the patients that shall judge it."""

    def __init__(self, store: Store, objects: Objects, create_dataset: CreateDataset, now: Clock) -> None:
        self._store, self._objects, self._now = store, objects, now
        self._frozen_set = FrozenSet(store, create_dataset)
        self._learnt_from = LearntFrom(store, objects)

    async def __call__(
        self, name: str, version: int, actor: str, project: Project | None, split: str = "", digest: str = ""
    ) -> Validation:
        """The validation; one that is under way or has succeeded is answered as it is.

        Args:
            name: of the model.
            version: of the model.
            actor: who asks.
            project: its accepted masks judge; None = the dataset of the version's run, or else the newest of any run
                for this model.
            split: see `certificate.split_of`.
            digest: of a dataset that the project froze before; empty = it is frozen now.

        Raises:
            ModelUnknown: no such version.
            NoFrozenSet: there is nobody to judge it on.
            ModelSawPatients: it learnt from some of them.
            DatasetEmpty, DatasetUnknown, PatientLeak: of the project.
        """
        model = await self._store.model(name, version)
        dataset = await self._frozen_set.dataset(name, model.run, project, digest)
        if dataset is None:
            raise NoFrozenSet
        judging, snapshot = split_of(dataset, split), await self._snapshot(dataset)
        learnt = await self._learnt_from(model)
        seen = {case.patient for case in snapshot.of(judging) if learnt.knows(snapshot.project, case)}
        if seen:
            raise ModelSawPatients(patients=len(seen))
        validation = Validation(
            id=validation_id(model.ref, dataset, judging),
            model=model.ref,
            project=snapshot.project,
            dataset=dataset,
            split=judging,
            known=learnt.whole,
            actor=actor,
            created_at=self._now(),
        )
        async with self._store.change() as change:
            return await change.add_validation(validation)

    async def _snapshot(self, dataset: DatasetRow) -> Snapshot:
        return await read_snapshot(self._objects, dataset.manifest)
