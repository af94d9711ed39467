"""Reduced precision as a choice with a guard: which there are, and when one may serve.

Rule. The whole pipeline segments the frozen validation set twice with the engine that serves: in float32, and with the
reduced networks. A precision is accepted if for every structure the mean of the paired differences of Dice (reduced -
float32, case by case as the gate pairs them, on slices that an expert judged) is at least -0.002. Where no case judges
any structure, nothing is known, and nothing is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

from irp_kernel import ObjectRef

from irp_training.domain.errors import PrecisionUnknown
from irp_training.domain.judging.gate import Scores, Verdict, judge
from irp_training.domain.run import DatasetRow, ModelRef, Progress

Reduced = Literal["bfloat16", "int8"]
REDUCED: tuple[Reduced, ...] = get_args(Reduced)
MARGIN = 0.002  # Dice that a structure may lose on average

State = Literal["queued", "running", "accepted", "refused", "failed"]
FINAL: frozenset[str] = frozenset({"accepted", "refused", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A reduced precision of one version before its guard; `version` counts its changes.

    Attributes:
        dataset: whose validation split judges.
        attempt: counts from 1; a trial that failed, or another dataset, is a new attempt.
        artefact: the networks that were accepted; None where the model's own serve (bfloat16), or nothing does.
        report: what was measured, as JSON; empty while there is nothing.
        speedup: seconds of one pass of the main network in float32 over those at this precision, one input at a time;
            0 = not measured.
        reason: of a failure, from the error tree.
    """

    model: ModelRef
    precision: Reduced
    dataset: DatasetRow
    actor: str
    created_at: str
    attempt: int = 1
    state: State = "queued"
    progress: Progress = field(default_factory=Progress)
    artefact: ObjectRef | None = None
    report: str = ""
    speedup: float = 0.0
    reason: str = ""
    message: str = ""
    finished_at: str = ""
    version: int = 1

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self.state in FINAL


def reduced(text: str) -> Reduced:
    """The precision of this name.

    Raises:
        PrecisionUnknown: there is none, or it is float32, which needs no guard.
    """
    for known in REDUCED:
        if known == text:
            return known
    raise PrecisionUnknown(f"reduced precisions are {', '.join(REDUCED)}")


def compare(found: Scores, float32: Scores, *, dataset: str, structures: tuple[str, ...]) -> Verdict:
    """Apply the rule.

    Args:
        found: Dice per case and structure at the reduced precision.
        float32: the same in float32.
        dataset: digest of the dataset whose validation split this is.
        structures: those that the model segments.
    """
    return judge(found, float32, margin=MARGIN, dataset=dataset, structures=structures)


def accepts(verdict: Verdict) -> bool:
    """True if the precision may serve."""
    return verdict.passed and bool(verdict.comparisons)
