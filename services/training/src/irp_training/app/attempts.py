"""Work that waits in a row: it is written to while it is under way, ends once, and fails only for good."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from irp_kernel.errors import Code, IrpError

from irp_training.domain.appraisal import Appraisal
from irp_training.domain.certificate import Validation
from irp_training.domain.challenges.challenge import Entry
from irp_training.domain.containers.container import Container, ContainerRun
from irp_training.domain.precision import Trial
from irp_training.domain.run import Progress

TRANSIENT = frozenset({Code.UNAVAILABLE, Code.ABORTED, Code.DEADLINE_EXCEEDED})

Attempt = TypeVar("Attempt", Appraisal, Trial, Validation)
Guest = TypeVar("Guest", Container, Entry)  # what comes from outside
Work = TypeVar("Work", Appraisal, Trial, Validation, Container, ContainerRun, Entry)


def advanced(current: Attempt, worked_on: Attempt, progress: Progress) -> Attempt | None:
    """The row with how far it is; None if somebody else has ended it, or begun it anew."""
    return replace(current, state="running", progress=progress) if _is_under_way(current, worked_on) else None


def ended(current: Attempt, found: Attempt, at: str) -> Attempt | None:
    """The row in its final state; None as in `advanced`."""
    if not _is_under_way(current, found):
        return None
    return finished(replace(found, version=current.version), at)


def failed(work: Work, error: IrpError, *, last: bool) -> Work:
    """The work as failed; raises the error where a part is down for a moment, unless this was the last try."""
    if error.code in TRANSIENT and not last:
        raise error
    return replace(work, state="failed", reason=error.reason, message=error.message)


def finished(work: Work, at: str) -> Work:
    """The work, whose state is final, with the time of its end."""
    return replace(work, progress=Progress(fraction=1.0, eta_s=0.0, step=work.state), finished_at=at)


def grown(current: Guest, work: Guest) -> Guest | None:
    """The work as the next change of its row; None if somebody else has ended it, or begun it anew."""
    return replace(work, changes=current.changes + 1) if _is_under_way(current, work) else None


def _is_under_way(
    current: Appraisal | Trial | Validation | Container | Entry,
    worked_on: Appraisal | Trial | Validation | Container | Entry,
) -> bool:
    return current.attempt == worked_on.attempt and not current.ended
