"""A registered model or container is entered -> an entry, queued for scoring."""

from __future__ import annotations

from irp_kernel import sha256_of

from irp_training.app.ask_container import accepted
from irp_training.app.challenge_ports import Challenges
from irp_training.app.container_ports import Containers
from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Clock, Objects, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.challenges.challenge import KINDS, Challenge, Entry, Kind
from irp_training.domain.container_errors import ChallengeClosed, ChallengeNotValid, EntrySawTestSet
from irp_training.domain.run import ModelRef

UNKNOWN = "what it learnt from is not known here"


class EnterChallenge:
    """Checks that the door is open and that the entry has not seen what it will be judged on."""

    def __init__(
        self, challenges: Challenges, store: Store, containers: Containers, objects: Objects, now: Clock
    ) -> None:
        self._challenges, self._store, self._containers = challenges, store, containers
        self._objects, self._now, self._learnt_from = objects, now, LearntFrom(store, objects)

    async def __call__(self, name: str, kind: str, algorithm: str, version: int, team: str) -> Entry:
        """Enter; the same again by the same team is the same entry.

        Args:
            name: of the challenge.
            kind: "model" or "container".
            algorithm: its name in the registry.
            version: of it.
            team: who enters.

        Raises:
            ChallengeUnknown, ModelUnknown, ContainerUnknown, ContainerNotAccepted.
            ChallengeClosed: the deadline has passed.
            EntrySawTestSet: it learnt from a patient of the test set.
            TooManyEntries: of this team.
        """
        challenge = await self._challenges.challenge(name)
        if not challenge.open_at(self._now()):
            raise ChallengeClosed(deadline=challenge.deadline)
        ref, message = await self._known(challenge, _kind(kind), algorithm, version)
        entry = Entry(
            challenge=challenge.name,
            id=sha256_of(f"{challenge.name}\n{team}\n{kind}\n{ref}\n{ref.digest}".encode())[:32],
            team=team,
            kind=_kind(kind),
            ref=ref,
            entered_at=self._now(),
            message=message,
        )
        return await self._challenges.enter(entry, challenge.entries_per_team)

    async def _known(self, challenge: Challenge, kind: Kind, name: str, version: int) -> tuple[ModelRef, str]:
        if kind == "container":
            container = await accepted(self._containers, name, version)
            ref = ModelRef(name=container.name, version=container.version, digest=container.digest)
            return ref, UNKNOWN
        model = await self._store.model(name, version)
        learnt = await self._learnt_from(model)
        snapshot = await read_snapshot(self._objects, challenge.dataset.manifest)
        if any(learnt.knows(snapshot.project, case) for case in snapshot.of("test")):
            raise EntrySawTestSet
        return model.ref, "" if learnt.whole else UNKNOWN


def _kind(text: str) -> Kind:
    for known in KINDS:
        if known == text:
            return known
    raise ChallengeNotValid(f"an entry is one of {', '.join(KINDS)}")
