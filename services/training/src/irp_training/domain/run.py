"""A training run: what was asked, how far it is, what came out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from irp_kernel import ObjectRef

from irp_training.domain.errors import PriorityOutOfRange
from irp_training.domain.price import Price

PRIORITIES = range(-100, 101)  # 0 where nobody gave one
State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
FINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """One immutable version of a model: name, integer version, SHA-256 of the bundle."""

    name: str
    version: int
    digest: str

    def __str__(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetRow:
    """A frozen dataset: digest, where its manifest lies, number of series per split.

    Attributes:
        patients: number of patients per split; empty in rows of before they were counted.
        rules: the inclusion rules as JSON; empty in rows of before there were any.
        created_at: when it was frozen first; empty likewise.
        actor: by whom it was frozen first; empty likewise.
    """

    digest: str
    manifest: ObjectRef
    training: int
    validation: int
    test: int
    patients: Mapping[str, int] = field(default_factory=dict, hash=False)
    rules: str = ""
    created_at: str = ""
    actor: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """One point of one curve. `epoch` counts through both stages from 1."""

    epoch: int
    name: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptOverlay:
    """A picture of one validation slice: see `overlay.Overlay`; `picture` is a PNG."""

    epoch: int
    which: str
    dice: float
    picture: ObjectRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far: share from 0 to 1, seconds left (negative: unknown), what is being done."""

    fraction: float = 0.0
    eta_s: float = -1.0
    step: str = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run; `version` counts its changes.

    Attributes:
        id: identity within the project.
        model: name that the result belongs to.
        base: where the weights started; None = from scratch.
        recipe: frozen, canonical JSON.
        promote: promote the result when the gate allows.
        by_admin: an administrator started it, or made the configuration that did.
        gate: verdict as JSON; empty while there is none.
        cases: validation Dice per case as JSON, before and after.
        summary: means of the cases with intervals over patients, as JSON.
        checkpoint: the latest one.
        cancel_asked: whoever works on it ends it at the next look.
        priority: of two that wait, the higher begins first.
        spent_s: seconds that processes worked on it, over all attempts.
        price_per_hour: of learning, when it began; 0 = the room has no price.
        currency: of the price.
        turns: processes that were begun for it since its latest checkpoint.
        configured: what the training cases chose, why, and by what numbers, as JSON; empty = nothing.
        replay: datasets that the base, its base and so on learnt from, newest first; empty = nothing is replayed.
    """

    project: str
    id: str
    model: str
    recipe: str
    dataset: DatasetRow
    actor: str
    created_at: str
    base: ModelRef | None = None
    promote: bool = False
    by_admin: bool = False
    state: State = "queued"
    progress: Progress = field(default_factory=Progress)
    result: ModelRef | None = None
    reason: str = ""
    message: str = ""
    gate: str = ""
    promoted: bool = False
    cases: str = ""
    summary: str = ""
    checkpoint: ObjectRef | None = None
    cancel_asked: bool = False
    finished_at: str = ""
    version: int = 1
    priority: int = 0
    spent_s: float = 0.0
    price_per_hour: float = 0.0
    currency: str = ""
    replay: tuple[DatasetRow, ...] = ()
    configured: str = ""
    turns: int = 0

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self.state in FINAL

    @property
    def price(self) -> Price:
        """Of an hour of this run."""
        return Price(per_hour=self.price_per_hour, currency=self.currency)


def require_priority(priority: int) -> None:
    """Raise PriorityOutOfRange unless there is such a priority."""
    if priority not in PRIORITIES:
        raise PriorityOutOfRange(priority=priority)
