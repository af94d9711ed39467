"""A training run: what was asked, how far it is, what came out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from irp_kernel import ObjectRef

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
    """A frozen dataset: digest, where its manifest lies, number of series per split."""

    digest: str
    manifest: ObjectRef
    training: int
    validation: int
    test: int


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
        gate: verdict as JSON; empty while there is none.
        cases: validation Dice per case as JSON, before and after.
        summary: means of the cases with intervals over patients, as JSON.
        checkpoint: the latest one.
        cancel_asked: the worker ends at its next step.
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

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self.state in FINAL
