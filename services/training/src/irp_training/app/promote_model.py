"""A version becomes the champion, if it is not worse; or waits for a second person."""

from __future__ import annotations

from irp_training.app.approvals import Approvals
from irp_training.app.judge_candidate import JudgeCandidate, Tell, nobody
from irp_training.app.ports import Change, Clock, Store
from irp_training.domain.errors import CandidateWorse, VerdictOutdated
from irp_training.domain.judging.gate import Verdict
from irp_training.domain.registry.candidacy import Candidacy, State, state_of
from irp_training.domain.registry.registry import Model, Promotion, champion


class PromoteModel:
    """Asks the gate, then announces ModelPromoted."""

    def __init__(self, store: Store, judge: JudgeCandidate, approvals: Approvals, now: Clock) -> None:
        self._store, self._judge, self._approvals, self._now = store, judge, approvals, now

    async def __call__(self, name: str, version: int, actor: str, tell: Tell = nobody) -> tuple[Verdict, State]:
        """The verdict, and "promoted" or "pending"; promoting the champion again changes nothing.

        Args:
            name: of the model.
            version: its number.
            actor: who asks.
            tell: hears how many cases are measured, of how many.

        Raises:
            ModelUnknown: there is no such version.
            CandidateWorse: the gate refuses; the verdict is kept.
            VerdictOutdated: another version became the champion meanwhile.
        """
        candidate = await self._store.model(name, version)
        verdict, rival = await self._judge(candidate, tell)
        if rival is not None and rival.ref == candidate.ref:
            return verdict, "promoted"
        approvals = await self._approvals.of(candidate)
        async with self._store.change() as change:
            stood = await put_forward(
                change, candidate, rival, verdict, actor=actor, at=self._now(), approvals=approvals
            )
        if stood.state == "refused":
            raise _worse(verdict)
        if stood.state == "outdated":
            raise VerdictOutdated
        return verdict, stood.state


async def put_forward(
    change: Change,
    model: Model,
    rival: Model | None,
    verdict: Verdict,
    *,
    actor: str,
    at: str,
    approvals: int,
    wanted: bool = True,
    run: str = "",
) -> Candidacy:
    """Keep what the gate said of a version, and make it the champion if that is all it takes.

    Args:
        change: the transaction.
        model: a registered version.
        rival: the champion that it was compared with.
        verdict: the gate's.
        actor: who asks.
        at: RFC 3339 UTC.
        approvals: how many further people have to agree.
        wanted: its promotion is asked for.
        run: that made it, if the run puts it forward.
    """
    # Another version may have become champion while the gate was asked: then its word does not hold any more.
    holds = champion(await change.history(model.ref.name)) == (rival.ref.version if rival else None)
    stood = await change.add_candidacy(
        Candidacy(
            model=model.ref,
            number=0,
            champion=rival.ref if rival else None,
            dataset=verdict.dataset,
            gate=verdict.to_json(),
            reason=verdict.reason,
            state=state_of(verdict, wanted=wanted, holds=holds, approvals=approvals),
            asked_by=actor,
            asked_at=at,
            run=run,
        )
    )
    if stood.state == "promoted":
        await crown(change, model, actor, at, verdict.reason)
    return stood


async def crown(change: Change, model: Model, actor: str, at: str, reason: str) -> None:
    """Put a version on top of the history, unless it is there already."""
    history = await change.history(model.ref.name)
    if champion(history) != model.ref.version:
        entry = Promotion(len(history) + 1, model.ref.version, "promote", actor, at, reason)
        await change.add_promotion(model, entry)


def _worse(verdict: Verdict) -> CandidateWorse:
    worst = verdict.worst
    details: dict[str, str | float] = (
        {"structure": worst.structure, "difference": round(worst.difference, 4)} if worst else {}
    )
    return CandidateWorse(verdict.reason, **details)
