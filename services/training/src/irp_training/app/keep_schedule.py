"""The clock goes on -> runs of projects whose schedule says that it is time."""

from __future__ import annotations

from irp_kernel.errors import Aborted, IrpError

from irp_training.app.configuration import Configurations
from irp_training.app.ports import Project, Seconds, Store
from irp_training.domain.datasets.automation import TrainByItself
from irp_training.domain.datasets.schedule import Schedule


class KeepSchedule:
    """Looks at every project; each moment of a schedule is used once, by whichever replica looks first.

    A moment that passed while nobody was there is made up for once, however many have passed.
    """

    def __init__(self, store: Store, configurations: Configurations, now: Seconds) -> None:
        self._store, self._configurations, self._now = store, configurations, now

    async def __call__(self) -> None:
        """Queue what is due; what went wrong with one project is raised when all have had their turn."""
        errors: list[IrpError] = []
        for project in await self._store.projects():
            try:
                wish = TrainByItself.from_configuration(await self._configurations.of(project))
                if wish is not None and wish.schedule is not None:
                    await self._look(project, wish, wish.schedule)
            except Aborted:  # another replica was quicker
                continue
            except IrpError as error:
                errors.append(error)
        if errors:
            raise errors[0]

    async def _look(self, project: Project, wish: TrainByItself, schedule: Schedule) -> None:
        now, rule = self._now(), schedule.rule
        if await self._store.next_run_at(project.id, rule) > now:
            return
        patients = len({case.patient for case in await self._store.cases(project.id)})
        following = schedule.next_after(now)
        async with self._store.change() as change:
            # None: the schedule is new, and its first moment is yet to come; or another replica was quicker.
            due_at = await change.move_schedule(project.id, rule, now, following)
            if due_at is None:
                return
            if wish.due_by_the_clock(await change.masks_since_run(project.id), patients):
                await change.masks_since_run(project.id, reset=True)
                await change.queue_automatic_run(project.id, f"at-{due_at:.0f}")
