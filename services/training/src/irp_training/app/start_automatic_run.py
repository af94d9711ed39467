"""A project said "after so many masks": the run begins by itself."""

from __future__ import annotations

from irp_kernel.errors import IrpError

from irp_training.app.attempts import TRANSIENT
from irp_training.app.configuration import Configurations
from irp_training.app.ports import Store
from irp_training.app.start_run import StartRun, Wish
from irp_training.domain.datasets.automation import TrainByItself

ACTOR = "training"


class StartAutomaticRun:
    """Starts the run that a project's `automation.train` declares."""

    def __init__(self, store: Store, configurations: Configurations, start_run: StartRun) -> None:
        self._store, self._configurations, self._start_run = store, configurations, start_run

    async def __call__(self, project_id: str, key: str) -> None:
        """Start it, once per key; nothing if the newest configuration no longer wants it.

        A run that can never begin (no dataset, a leak...) leaves its reason for who asks when the next one is.
        """
        project = await self._store.project(project_id)
        if project is None:
            return
        declared = TrainByItself.from_configuration(await self._configurations.of(project))
        if declared is None or declared.paused:
            return
        wish = Wish(
            model=declared.model,
            base=declared.base,
            recipe=declared.recipe,
            rules=declared.rules,
            actor=ACTOR,
            request_id=f"auto-{key}",
            promote=True,
            by_admin=project.by_admin,
        )
        refusal = ""
        try:
            await self._start_run(project, wish)
        except IrpError as error:
            if error.code in TRANSIENT:
                raise
            refusal = error.reason
        async with self._store.change() as change:
            await change.note_refusal(project_id, refusal)
