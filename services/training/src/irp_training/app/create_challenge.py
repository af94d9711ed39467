"""A project's test set, frozen -> a challenge."""

from __future__ import annotations

from dataclasses import dataclass

from irp_kernel.ids import Slug

from irp_training.app.challenge_ports import Challenges
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.ports import Clock, Objects, Project
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.challenges.challenge import (
    ENTRIES_LIMIT,
    ENTRIES_PER_TEAM,
    TITLE_LIMIT,
    Challenge,
    known_metrics,
    known_structures,
    moment,
)
from irp_training.domain.container_errors import ChallengeNotValid
from irp_training.domain.datasets.dataset import Case
from irp_training.domain.datasets.inclusion import Rules


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeWish:
    """What somebody wants to compare; entries_per_team 0 and no metrics = the defaults."""

    name: str
    title: str
    structures: tuple[str, ...]
    metrics: tuple[str, ...]
    deadline: str
    entries_per_team: int
    sequence_classes: tuple[str, ...]
    actor: str


class CreateChallenge:
    """Freezes the test set and looks whether it judges anything."""

    def __init__(self, challenges: Challenges, objects: Objects, create_dataset: CreateDataset, now: Clock) -> None:
        self._challenges, self._objects, self._create, self._now = challenges, objects, create_dataset, now

    async def __call__(self, project: Project, wish: ChallengeWish) -> Challenge:
        """Create.

        Raises:
            ChallengeNotValid: with the reason.
            ChallengeExists: another one has its name.
            DatasetEmpty, PatientLeak: of the project.
        """
        name, structures, metrics = Slug(wish.name), known_structures(wish.structures), known_metrics(wish.metrics)
        deadline = moment(wish.deadline)
        if deadline <= moment(self._now()):
            raise ChallengeNotValid("the deadline has passed already")
        most = wish.entries_per_team or ENTRIES_PER_TEAM
        if not 1 <= most <= ENTRIES_LIMIT or len(wish.title) > TITLE_LIMIT:
            raise ChallengeNotValid(f"entries_per_team: 1 to {ENTRIES_LIMIT}; title: at most {TITLE_LIMIT} characters")
        dataset = await self._create(project, Rules(sequence_classes=wish.sequence_classes, structures=structures))
        cases = (await read_snapshot(self._objects, dataset.manifest)).of("test")
        _require_judged(cases, structures)
        return await self._challenges.add(
            Challenge(
                name=name,
                title=wish.title or name,
                project=project.id,
                dataset=dataset,
                cases=len(cases),
                patients=len({case.patient for case in cases}),
                structures=structures,
                metrics=metrics,
                deadline=deadline.isoformat(timespec="seconds"),
                entries_per_team=most,
                actor=wish.actor,
                created_at=self._now(),
            )
        )


def _require_judged(cases: tuple[Case, ...], structures: tuple[str, ...]) -> None:
    """Each structure must be judged somewhere in the test set, or its column would be empty."""
    judged = {name for case in cases for name, pairs in (case.judged or {}).items() if pairs}
    if missing := [name for name in structures if name not in judged]:
        raise ChallengeNotValid(f"no case of the test set judges {', '.join(missing)}")
