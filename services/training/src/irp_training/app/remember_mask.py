"""MaskAccepted -> the read model of what can be learnt from; perhaps a run that begins by itself."""

from __future__ import annotations

from irp_training.app.configuration import Configurations
from irp_training.app.notice_correction import pair_with_proposals
from irp_training.app.ports import Project, Store
from irp_training.domain.datasets.automation import TrainByItself
from irp_training.domain.datasets.dataset import Case


class RememberMask:
    """Keeps the newest accepted mask of each series."""

    def __init__(self, store: Store, configurations: Configurations) -> None:
        self._store, self._configurations = store, configurations

    async def __call__(self, project: Project, case: Case, *, at: str = "") -> None:
        """Remember the case; queue a run when the project's `automation.train` says that it is time.

        Args:
            project: where.
            case: what can be learnt from.
            at: when the mask was accepted.
        """
        wish = TrainByItself.from_configuration(await self._configurations.of(project))
        patients = await self._patients(project.id, case) if wish is not None and wish.least_patients else 0
        async with self._store.change() as change:
            await change.remember_project(project)
            if not await change.remember_case(project.id, case):
                return
            await pair_with_proposals(change, project.id, case, at)
            masks = await change.masks_since_run(project.id, add=1)
            if wish is not None and wish.due(masks, patients):
                await change.masks_since_run(project.id, reset=True)
                await change.queue_automatic_run(project.id, f"{case.series}-{case.version}")

    async def _patients(self, project: str, newest: Case) -> int:
        return len({case.patient for case in await self._store.cases(project)} | {newest.patient})
