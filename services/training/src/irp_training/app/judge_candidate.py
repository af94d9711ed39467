"""Candidate against champion on the frozen validation set: the gate, with everything it needs fetched for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from irp_training.app.case_files import case_files
from irp_training.app.gate_set import GateSet
from irp_training.app.ports import Objects, Store
from irp_training.app.unseen import Unseen
from irp_training.app.work_ports import Examiner
from irp_training.domain.judging.bounds import INSTALLED, Bounds
from irp_training.domain.judging.gate import Verdict, given_up
from irp_training.domain.recipes.recipe import read_frozen
from irp_training.domain.registry.checks import examine_candidate
from irp_training.domain.registry.registry import Model, champion
from irp_training.domain.run import DatasetRow

ALL_SEEN = "one of the two models has learnt from every patient of the validation set, so nothing can be compared"

Tell = Callable[[int, int], None]  # so many cases of so many are measured


def nobody(done: int, of: int) -> None:
    """Nobody wants to know."""


class JudgeCandidate:
    """Measures both models with the whole pipeline, side by side, and applies the gate's rule.

    Args:
        bounds: the installation's, as they are now; the recipe of a run may be stricter.
    """

    def __init__(self, store: Store, objects: Objects, examiner: Examiner, bounds: Bounds = INSTALLED) -> None:
        self._store, self._objects, self._examiner, self._bounds = store, objects, examiner, bounds
        self._gate_set, self._unseen = GateSet(store, objects), Unseen(store, objects)

    async def __call__(self, candidate: Model, tell: Tell = nobody) -> tuple[Verdict, Model | None]:
        """The verdict on a version, and the champion it was compared with; `tell` hears how many cases are measured."""
        version = champion(await self._store.history(candidate.ref.name))
        rival = await self._store.model(candidate.ref.name, version) if version else None
        bounds = await self._bounds_of(candidate, rival)
        if rival is None:
            return Verdict(passed=True, reason="there is no champion yet", margin=bounds.margin), None
        if rival.ref.digest == candidate.ref.digest:
            return Verdict(passed=True, reason="it is the champion", margin=bounds.margin), rival
        if refusal := given_up(candidate.structures, rival.structures, bounds.margin):
            return refusal, rival
        dataset = await self._gate_set(candidate)
        if dataset is None:
            reason = "there is no frozen validation set for this model"
            return Verdict(passed=True, reason=reason, margin=bounds.margin), rival
        return await self._compared(candidate, rival, dataset, bounds, tell), rival

    async def _compared(
        self, candidate: Model, rival: Model, dataset: DatasetRow, bounds: Bounds, tell: Tell
    ) -> Verdict:
        snapshot, seen = await self._unseen(dataset, candidate, rival)
        if seen and not snapshot.count("validation"):
            return Verdict(passed=False, reason=ALL_SEEN, margin=bounds.margin, dataset=dataset.digest)
        bundles = [await self._objects.get(model.bundle) for model in (candidate, rival)]
        files, count = case_files(self._objects, snapshot, ("validation",)), snapshot.count("validation")

        async def listen(done: int) -> None:
            tell(done, count)

        mine, theirs = await self._examiner.examine(bundles, files, listen)
        verdict = examine_candidate(
            mine,
            theirs,
            bounds=bounds,
            dataset=dataset.digest,
            structures=rival.structures,
            cases={case.series: case for case in snapshot.of("validation")},
        )
        left_out = (
            (f"{seen} validation cases are left out: one of the two models has learnt from them",) if seen else ()
        )
        return replace(verdict, warnings=(*verdict.warnings, *left_out))

    async def _bounds_of(self, candidate: Model, rival: Model | None) -> Bounds:
        """As tight as the recipe of the candidate's run says, or of the champion's."""
        for model in (candidate, rival):
            if model is not None and model.run is not None:
                run = await self._store.run(*model.run)
                return self._bounds.tightened(read_frozen(run.recipe).bounds)
        return self._bounds
