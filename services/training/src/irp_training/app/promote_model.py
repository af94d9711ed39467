"""A version becomes the champion, if it is not worse."""

from __future__ import annotations

from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.ports import Change, Store
from irp_training.domain.errors import CandidateWorse
from irp_training.domain.gate import Verdict
from irp_training.domain.registry import Model, Promotion, champion


class PromoteModel:
    """Asks the gate, then announces ModelPromoted."""

    def __init__(self, store: Store, judge: JudgeCandidate) -> None:
        self._store, self._judge = store, judge

    async def __call__(self, name: str, version: int, actor: str) -> Verdict:
        """Promote; promoting the champion again changes nothing.

        Raises:
            ModelUnknown: there is no such version.
            CandidateWorse: the gate refuses; the verdict is kept.
        """
        candidate = await self._store.model(name, version)
        verdict, rival = await self._judge(candidate)
        async with self._store.change() as change:
            await change.save_verdict(candidate.ref, rival.ref if rival else None, verdict)
            if verdict.passed:
                await crown(change, candidate, actor)
        if not verdict.passed:
            worst = verdict.worst
            details: dict[str, str | float] = (
                {"structure": worst.structure, "difference": round(worst.difference, 4)} if worst else {}
            )
            raise CandidateWorse(f"the candidate is {verdict.reason}", **details)
        return verdict


async def crown(change: Change, model: Model, actor: str) -> None:
    """Put a version on top of the history, unless it is there already."""
    history = await change.history(model.ref.name)
    if champion(history) != model.ref.version:
        await change.add_promotion(model, Promotion(len(history) + 1, model.ref.version, "promote"), actor)
