"""A version before the gate: who put it forward, what the gate said, and, where two must agree, who decided."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from irp_training.domain.errors import NothingToDecide, SecondPersonNeeded
from irp_training.domain.judging.gate import Verdict
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import ModelRef, Run

State = Literal["judged", "refused", "pending", "promoted", "rejected", "outdated"]
COMMENT = 400  # characters of a decision's reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidacy:
    """One time that a version stood before the gate; `number` counts from 1 per model.

    Attributes:
        champion: what it was compared with; None = there was none.
        gate: the verdict as JSON.
        reason: of the verdict, in plain words.
        state: "judged": nobody asked for its promotion; "refused" by the gate; "pending": a second person or an
            administrator has to agree; "promoted"; "rejected" by that person; "outdated": another version became the
            champion meanwhile.
        run: that made it, if the run put it forward.
        decided_by: the second person.
        comment: why that person decided so.
    """

    model: ModelRef
    number: int
    champion: ModelRef | None
    dataset: str
    gate: str
    reason: str
    state: State
    asked_by: str
    asked_at: str
    run: str = ""
    decided_by: str = ""
    decided_at: str = ""
    comment: str = ""

    def is_again(self, other: Candidacy) -> bool:
        """True if the other says the same: whoever repeats a request has made one."""
        if self.state == "promoted":
            return False  # it was rolled back since: now it happens once more
        if self.state == "pending" == other.state:
            return (self.model, self.champion) == (other.model, other.champion)
        return replace(self, number=0, gate="", asked_at="", run="") == replace(
            other, number=0, gate="", asked_at="", run=""
        )


def state_of(verdict: Verdict, *, wanted: bool, holds: bool, approvals: int) -> State:
    """What becomes of a version that the gate has judged.

    Args:
        verdict: the gate's.
        wanted: its promotion was asked for.
        holds: the champion is still the one that the verdict compared with.
        approvals: how many further people have to agree.
    """
    if not wanted:
        return "judged"
    if not verdict.passed:
        return "refused"
    if not holds:
        return "outdated"
    return "pending" if approvals else "promoted"


def why_it_waits(run: Run, candidate: Model, rival: Model | None, verdict: Verdict) -> str:
    """Why what a run made does not become the champion by itself, although the gate lets it pass; empty = it may.

    Every project is answered by the champion: who moves it has proven that the candidate is no worse, and moves what is
    the project's own, or has an administrator's leave.
    """
    if rival is None or rival.ref.digest == candidate.ref.digest:
        return ""
    if not verdict.comparisons:
        return "no validation case judges any structure"
    if run.by_admin or (rival.run is not None and rival.run[0] == run.project):
        return ""
    return f"{rival.ref} was not made by a run of this project"


def decided(
    candidacy: Candidacy, *, maker: str, approve: bool, holds: bool, by: str, at: str, comment: str
) -> Candidacy:
    """The second person's word.

    Args:
        candidacy: that waits.
        maker: who pushed the version, or started the run that made it.
        approve: or reject.
        holds: the champion is still the one that the verdict compared with.
        by: the second person.
        at: RFC 3339 UTC.
        comment: why.

    Raises:
        NothingToDecide: it does not wait.
        SecondPersonNeeded: it is the person that asked, or that made the version.
    """
    if candidacy.state != "pending":
        raise NothingToDecide(state=candidacy.state)
    if approve and by in {candidacy.asked_by, maker}:
        raise SecondPersonNeeded
    state: State = "rejected" if not approve else "promoted" if holds else "outdated"
    return replace(candidacy, state=state, decided_by=by, decided_at=at, comment=comment[:COMMENT])
