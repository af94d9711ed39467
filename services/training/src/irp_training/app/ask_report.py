"""A report on a version is asked for -> a queued appraisal, once per version and dataset."""

from __future__ import annotations

from irp_training.app.frozen_set import FrozenSet
from irp_training.app.ports import Clock, Project, Store
from irp_training.domain.pushing.appraisal import Appraisal


class AskReport:
    """Queues an appraisal."""

    def __init__(self, store: Store, frozen_set: FrozenSet, now: Clock) -> None:
        self._store, self._frozen_set, self._now = store, frozen_set, now

    async def __call__(self, name: str, version: int, actor: str, project: Project | None) -> Appraisal:
        """The appraisal; one that is under way or has ended on the same dataset is answered as it is.

        Raises:
            ModelUnknown: no such version.
            NoFrozenSet, DatasetEmpty, PatientLeak: of the project.
        """
        model = await self._store.model(name, version)
        dataset = await self._frozen_set(name, model.run, project)
        wanted = Appraisal(model=model.ref, actor=actor, created_at=self._now(), dataset=dataset)
        async with self._store.change() as change:
            return await change.add_appraisal(wanted)
