"""Candidate against champion on a frozen validation set: the gate, with everything it needs fetched for it."""

from __future__ import annotations

from irp_training.app.case_files import case_files
from irp_training.app.ports import Objects, Store, Worker
from irp_training.domain.dataset import Snapshot
from irp_training.domain.gate import Scores, Verdict, judge
from irp_training.domain.recipe import Recipe, read_frozen
from irp_training.domain.registry import Model, champion
from irp_training.domain.run import DatasetRow

DEFAULT_MARGIN = Recipe().margin


class JudgeCandidate:
    """Scores both models with the whole pipeline and applies the gate's rule."""

    def __init__(self, store: Store, objects: Objects, worker: Worker) -> None:
        self._store, self._objects, self._worker = store, objects, worker

    async def __call__(self, candidate: Model, scores: Scores | None = None) -> tuple[Verdict, Model | None]:
        """The verdict, and the champion it was compared with.

        Args:
            candidate: a registered version.
            scores: its Dice on the validation set of its run, if they are known.
        """
        version = champion(await self._store.history(candidate.ref.name))
        rival = await self._store.model(candidate.ref.name, version) if version else None
        dataset, margin = await self._dataset(candidate, rival)
        if rival is None or dataset is None:
            return self._unjudged(rival is None, margin), rival
        snapshot = Snapshot.from_manifest(await self._objects.get(dataset.manifest))
        mine = scores if scores is not None else await self._score(candidate, snapshot)
        theirs = mine if rival.ref.digest == candidate.ref.digest else await self._score(rival, snapshot)
        return (
            judge(mine, theirs, margin=margin, dataset=dataset.digest, structures=rival.structures),
            rival,
        )

    async def _score(self, model: Model, snapshot: Snapshot) -> Scores:
        bundle = await self._objects.get(model.bundle)
        return await self._worker.score(bundle, case_files(self._objects, snapshot, ("validation",)))

    async def _dataset(self, candidate: Model, rival: Model | None) -> tuple[DatasetRow | None, float]:
        """That of the candidate's run; else that of the champion's run; else the newest of any run for this name."""
        for model in (candidate, rival):
            if model is not None and model.run is not None:
                run = await self._store.run(*model.run)
                return run.dataset, read_frozen(run.recipe).margin
        return await self._store.newest_dataset(candidate.ref.name), DEFAULT_MARGIN

    @staticmethod
    def _unjudged(first: bool, margin: float) -> Verdict:
        reason = "there is no champion yet" if first else "there is no frozen validation set for this model"
        return Verdict(passed=True, reason=reason, margin=margin)
