"""How a run ends: a version in the registry and the gate's word on it, or a reason. One transaction each."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

from irp_kernel import sha256_of
from irp_kernel.errors import IrpError

from irp_training.app.approvals import Approvals
from irp_training.app.judge_candidate import JudgeCandidate, Tell, nobody
from irp_training.app.ports import Change, Clock, Objects, Project, Store
from irp_training.app.promote_model import put_forward
from irp_training.domain.judging.gate import Verdict, not_measured
from irp_training.domain.judging.precision import Trial, reduced
from irp_training.domain.learning.plan import Outcome
from irp_training.domain.pushing.pushed import first_paragraph
from irp_training.domain.recipes.recipe import read_frozen
from irp_training.domain.registry.candidacy import Candidacy, why_it_waits
from irp_training.domain.registry.candidacy import State as Stood
from irp_training.domain.registry.registry import Model, champion
from irp_training.domain.run import ModelRef, Progress, Run, State

LastWord = Callable[[Exception], Awaitable[IrpError]]  # of what failed; raises what may be otherwise at the next turn


async def _as_it_is(error: Exception) -> IrpError:
    raise error


WHAT_NEXT: dict[Stood, str] = {
    "promoted": "promoted",
    "pending": "waits for a second person's approval",
    "outdated": "another version became the champion meanwhile",
}


class FinishRun:
    """Writes the end of a run."""

    def __init__(self, store: Store, objects: Objects, judge: JudgeCandidate, approvals: Approvals, now: Clock) -> None:
        self._store, self._objects, self._judge, self._now = store, objects, judge, now
        self._approvals = approvals

    async def succeeded(
        self,
        run: Run,
        project: Project,
        outcome: Outcome,
        last_word: LastWord = _as_it_is,
        tell: Tell = nobody,
    ) -> Run:
        """Store the bundle, ask the gate, register, perhaps promote.

        What was learnt is registered even if the gate cannot measure it (`last_word` of why): it is not promoted.
        `tell` hears how many cases are measured, of how many.
        """
        candidate = await self._candidate(run, outcome)
        verdict, rival = await self._judged(run, candidate, last_word, tell)
        waits = why_it_waits(run, candidate, rival, verdict) if run.promote and verdict.passed else ""
        if waits:
            verdict = replace(verdict, warnings=(*verdict.warnings, f"an administrator has to agree: {waits}"))
        approvals = await self._approvals.of(candidate) or int(bool(waits))
        async with self._store.change() as change:
            current = await change.lock_run(run.project, run.id)
            if current.ended:
                return current
            if current.cancel_asked:  # while the gate measured: nothing comes of it
                return await self._end(change, current, project, "cancelled")
            model = await change.add_model(candidate)
            await self._try_precisions(change, current, model)
            stood = await put_forward(
                change,
                model,
                rival,
                verdict,
                actor=current.actor,
                at=self._now(),
                approvals=approvals,
                wanted=current.promote,
                run=current.id,
            )
            done = replace(
                current,
                result=model.ref,
                gate=verdict.to_json(),
                cases=json.dumps(outcome.cases, sort_keys=True),
                summary=json.dumps(outcome.figures.get("intervals", {}), sort_keys=True),
                promoted=stood.state == "promoted",
                message=_in_words(model, verdict, stood, waits, outcome),
            )
            return await self._end(change, done, project, "succeeded")

    async def ended(self, run: Run, project: Project, state: State, *, reason: str = "", message: str = "") -> Run:
        """Failed or cancelled."""
        async with self._store.change() as change:
            current = await change.lock_run(run.project, run.id)
            if current.ended:
                return current
            return await self._end(change, replace(current, reason=reason, message=message), project, state)

    async def _judged(
        self, run: Run, candidate: Model, last_word: LastWord, tell: Tell
    ) -> tuple[Verdict, Model | None]:
        try:
            return await self._judge(candidate, tell)
        except Exception as error:
            why = (await last_word(error)).message
        best = champion(await self._store.history(run.model))
        rival = await self._store.model(run.model, best) if best else None
        margin = read_frozen(run.recipe).bounds.margin
        return not_measured(why, str(rival.ref) if rival else "", margin=margin, dataset=run.dataset.digest), rival

    async def _candidate(self, run: Run, outcome: Outcome) -> Model:
        bundle = await self._objects.put(
            outcome.bundle,
            project=run.project,
            entity="model",
            id=run.model,
            kind="bundle",
            media_type="application/zip",
            extension="zip",
        )
        return Model(
            ref=ModelRef(name=run.model, version=0, digest=bundle.sha256),
            bundle=bundle,
            created_at=self._now(),
            actor=run.actor,
            licence=first_paragraph(outcome.licence),
            figures=json.dumps(outcome.figures, sort_keys=True),
            structures=outcome.structures,
            dataset_digest=run.dataset.digest,
            run=(run.project, run.id),
            recipe_sha256=sha256_of(run.recipe.encode()),
            base=str(run.base) if run.base else "",
        )

    async def _try_precisions(self, change: Change, run: Run, model: Model) -> None:
        """Queue the trials that the recipe asks for, where there is somebody to judge them on."""
        for precision in read_frozen(run.recipe).precisions if run.dataset.validation else ():
            trial = Trial(
                model=model.ref,
                precision=reduced(precision),
                dataset=run.dataset,
                actor=run.actor,
                created_at=self._now(),
            )
            await change.add_trial(trial)

    async def _end(self, change: Change, run: Run, project: Project, state: State) -> Run:
        progress = Progress(fraction=1.0 if state == "succeeded" else run.progress.fraction, eta_s=0.0, step=state)
        ended = replace(run, state=state, progress=progress, finished_at=self._now())
        await change.announce_end(ended, project)
        await change.save_run(ended)
        return ended


def _in_words(model: Model, verdict: Verdict, stood: Candidacy, waits: str, outcome: Outcome) -> str:
    told = WHAT_NEXT.get(stood.state)
    if waits and stood.state == "pending":
        told = f"waits for an administrator: {waits}"
    return "; ".join(filter(None, (f"{model.ref} is registered", verdict.reason, told, *outcome.remarks)))
