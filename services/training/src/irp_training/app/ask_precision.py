"""A reduced precision is asked for -> a queued trial, once per version, precision and dataset."""

from __future__ import annotations

from irp_training.app.create_dataset import CreateDataset
from irp_training.app.frozen_set import FrozenSet
from irp_training.app.ports import Clock, Project, Store
from irp_training.domain.errors import NoFrozenSet
from irp_training.domain.judging.precision import Trial, reduced


class AskPrecision:
    """Queues a trial."""

    def __init__(self, store: Store, create_dataset: CreateDataset, now: Clock) -> None:
        self._store, self._frozen_set, self._now = store, FrozenSet(store, create_dataset), now

    async def __call__(self, name: str, version: int, precision: str, actor: str, project: Project | None) -> Trial:
        """The trial; one that is under way or has ended on the same dataset is answered as it is.

        Args:
            name: of the model.
            version: of the model.
            precision: "bfloat16" or "int8".
            actor: who asks.
            project: judge on its accepted masks; None = on the frozen set of the version's run, or else the newest of
                any run for this model.

        Raises:
            PrecisionUnknown, ModelUnknown: no such thing.
            NoFrozenSet: there is no validation case.
            DatasetEmpty, PatientLeak: of the project.
        """
        wanted = reduced(precision)
        model = await self._store.model(name, version)
        dataset = await self._frozen_set(name, model.run, project)
        if dataset is None:
            raise NoFrozenSet
        trial = Trial(model=model.ref, precision=wanted, dataset=dataset, actor=actor, created_at=self._now())
        async with self._store.change() as change:
            return await change.add_trial(trial)
