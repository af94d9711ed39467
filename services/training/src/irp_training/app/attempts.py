"""Work that waits in a row: it is written to while it is under way, ends once, and no row waits for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import structlog
from irp_kernel.errors import Code, IrpError

from irp_training.domain.challenges.challenge import Entry
from irp_training.domain.containers.container import Container, ContainerRun
from irp_training.domain.judging.precision import Trial
from irp_training.domain.pushing.appraisal import Appraisal
from irp_training.domain.run import Progress
from irp_training.domain.validations.certificate import Validation

TURNS = 5  # of a process at one work; then it has failed, whatever stands in its way
WAITS = 240  # turns of a run at which a part was down before a process began: hours, and the room's last
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


def begin(turn: int) -> None:
    """Raises where every process that had a turn was killed: the next one would be, too."""
    if turn > TURNS:
        raise IrpError("every process that worked on it was stopped before it had ended")


def failed(work: Work, error: Exception, turn: int) -> Work:
    """The work as failed; before the last turn, raises as `last_word` does."""
    known = last_word(error, type(work).__name__, last=turn >= TURNS)
    return replace(work, state="failed", reason=known.reason, message=known.message)


def last_word(error: Exception, work: str, *, last: bool) -> IrpError:
    """What a row says of its failure; before the last turn, raises what may be otherwise at the next.

    That is a part that is down for a moment, and whatever nobody thought of. Of the latter the row has no word: it may
    speak of patients.
    """
    known = error if isinstance(error, IrpError) else None
    if not last and (known is None or is_transient(error)):
        raise error
    if known is None:
        structlog.get_logger().error("work_failed", work=work, error=type(error).__name__)
        known = IrpError()
    return known


def is_transient(error: Exception) -> bool:
    """A part that is down for a moment, or a process that was killed."""
    return isinstance(error, IrpError) and error.code in TRANSIENT


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
