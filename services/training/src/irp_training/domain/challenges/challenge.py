"""A challenge and its entries."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, cast, get_args

from irp_kernel.mask import VALUE_OF

from irp_training.domain.container_errors import ChallengeNotValid
from irp_training.domain.run import DatasetRow, ModelRef, Progress

Metric = Literal["dice", "hd95"]
METRICS: tuple[Metric, ...] = get_args(Metric)
HIGHER_IS_BETTER: dict[Metric, bool] = {"dice": True, "hd95": False}
BEST: dict[Metric, float] = {"dice": 1.0, "hd95": 0.0}  # mm
Kind = Literal["model", "container"]
KINDS: tuple[Kind, ...] = get_args(Kind)
EntryState = Literal["queued", "running", "scored", "failed"]
ENTRIES_PER_TEAM, ENTRIES_LIMIT = 5, 100  # where nothing is said; at most
TITLE_LIMIT = 200  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What is compared; it does not change.

    Attributes:
        dataset: whose split `test` is the test set.
        cases: series of the test set.
        patients: of the test set.
        structures: canonical names.
        deadline: RFC 3339 UTC; nothing is entered from then on.
        entries_per_team: how often one team may look at the test set.
    """

    name: str
    title: str
    project: str
    dataset: DatasetRow
    cases: int
    patients: int
    structures: tuple[str, ...]
    metrics: tuple[Metric, ...]
    deadline: str
    entries_per_team: int
    actor: str
    created_at: str

    def open_at(self, now: str) -> bool:
        """True before the deadline."""
        return moment(now) < moment(self.deadline)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A registered model or container before the test set; `changes` counts its changes.

    Attributes:
        team: who entered it.
        attempt: counts from 1; one that failed may be entered again.
    """

    challenge: str
    id: str
    team: str
    kind: Kind
    ref: ModelRef
    entered_at: str
    state: EntryState = "queued"
    progress: Progress = field(default_factory=Progress)
    attempt: int = 1
    reason: str = ""
    message: str = ""
    finished_at: str = ""
    changes: int = 1

    @property
    def ended(self) -> bool:
        """True once it is scored, or cannot be."""
        return self.state in {"scored", "failed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """One case of one entry; it never leaves the room.

    Attributes:
        values: metric -> structure -> value; what the truth does not judge is absent.
        missing: the entry gave no answer, and has the worst values.
    """

    series: str
    patient: str
    values: dict[str, dict[str, float]]
    missing: bool = False


def moment(text: str) -> datetime:
    """RFC 3339 -> UTC.

    Raises:
        ChallengeNotValid: no such time, or one without an offset.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ChallengeNotValid("deadline: a time like 2027-03-01T12:00:00Z") from None
    if found.tzinfo is None:
        raise ChallengeNotValid("deadline: a time with its offset, like 2027-03-01T12:00:00Z")
    return found.astimezone(UTC)


def known_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of these names, each once; none named = all.

    Raises:
        ChallengeNotValid: there is no such metric.
    """
    wanted = dict.fromkeys(names) or dict.fromkeys(METRICS)
    if foreign := [name for name in wanted if name not in METRICS]:
        raise ChallengeNotValid(f"{len(foreign)} unknown metrics; known are {', '.join(METRICS)}")
    return tuple(cast(Metric, name) for name in wanted)


def known_structures(names: Iterable[str]) -> tuple[str, ...]:
    """Canonical structures in the order of their values, each once.

    Raises:
        ChallengeNotValid: none, or one that is not known.
    """
    wanted = set(names)
    if not wanted or wanted - set(VALUE_OF):
        raise ChallengeNotValid(f"structures: some of {', '.join(VALUE_OF)}")
    return tuple(sorted(wanted, key=lambda name: VALUE_OF[name]))
