"""When a project learns by itself, and what is missing until then."""

from __future__ import annotations

from dataclasses import dataclass

from irp_training.app.configuration import Configurations
from irp_training.app.ports import Project, Seconds, Store
from irp_training.domain.datasets.automation import TrainByItself


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The declaration, and how far it is.

    Attributes:
        wish: what the newest configuration declares.
        masks_since_run: accepted since the last run that began by itself.
        masks_missing: until the number is reached; 0 where it is, or where no number is declared.
        patients: with an accepted mask.
        patients_missing: until the least number is reached.
        next_at: seconds since 1970; None = no schedule, or no model.
        refusal: why the latest run that was to begin by itself could not; empty = it could.
    """

    wish: TrainByItself
    masks_since_run: int
    masks_missing: int
    patients: int
    patients_missing: int
    next_at: float | None
    refusal: str


class TellPolicy:
    """Reads; begins nothing."""

    def __init__(self, store: Store, configurations: Configurations, now: Seconds) -> None:
        self._store, self._configurations, self._now = store, configurations, now

    async def __call__(self, project: Project) -> Policy | None:
        """None where nothing is declared."""
        wish = TrainByItself.declared(await self._configurations.of(project))
        if wish is None:
            return None
        masks = await self._store.masks_since_run(project.id)
        patients = len({case.patient for case in await self._store.cases(project.id)})
        return Policy(
            wish=wish,
            masks_since_run=masks,
            masks_missing=max(0, wish.after_masks - masks),
            patients=patients,
            patients_missing=max(0, wish.least_patients - patients),
            next_at=await self._next_at(project.id, wish),
            refusal=await self._store.refusal(project.id),
        )

    async def _next_at(self, project: str, wish: TrainByItself) -> float | None:
        if wish.schedule is None or not wish.model:
            return None
        return await self._store.next_run_at(project, wish.schedule.rule) or wish.schedule.next_after(self._now())
