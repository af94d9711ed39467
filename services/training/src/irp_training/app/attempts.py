"""Work that waits in a row, counted by attempts: it is written to while it is under way, and ends once."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from irp_training.domain.appraisal import Appraisal
from irp_training.domain.certificate import Validation
from irp_training.domain.precision import Trial
from irp_training.domain.run import Progress

Attempt = TypeVar("Attempt", Appraisal, Trial, Validation)


def advanced(current: Attempt, worked_on: Attempt, progress: Progress) -> Attempt | None:
    """The row with how far it is; None if somebody else has ended it, or begun it anew."""
    return replace(current, state="running", progress=progress) if _is_under_way(current, worked_on) else None


def ended(current: Attempt, found: Attempt, at: str) -> Attempt | None:
    """The row in its final state; None as in `advanced`."""
    if not _is_under_way(current, found):
        return None
    progress = Progress(fraction=1.0, eta_s=0.0, step=found.state)
    return replace(found, version=current.version, progress=progress, finished_at=at)


def _is_under_way(current: Attempt, worked_on: Attempt) -> bool:
    return current.attempt == worked_on.attempt and not current.ended
