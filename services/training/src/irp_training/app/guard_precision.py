"""A queued trial -> accepted, refused, or failed. Killed at any point, it is done again."""

from __future__ import annotations

from dataclasses import replace

from irp_kernel import ObjectRef
from irp_kernel.ids import Slug

from irp_training.app.attempts import advanced, begin, ended, failed
from irp_training.app.case_files import case_files
from irp_training.app.ports import Clock, Objects, Store
from irp_training.app.register_model import REGISTRY
from irp_training.app.snapshots import read_snapshot
from irp_training.app.work_ports import Worker
from irp_training.domain.judging.precision import Reduced, Trial
from irp_training.domain.learning.plan import Said
from irp_training.domain.reducing.trial import TrialOutcome, TrialPlan
from irp_training.domain.run import Progress


class GuardPrecision:
    """Works on one trial until it has ended."""

    def __init__(self, store: Store, objects: Objects, worker: Worker, now: Clock, threads: int) -> None:
        self._store, self._objects, self._worker, self._now, self._threads = store, objects, worker, now, threads

    async def __call__(self, name: str, version: int, precision: Reduced, *, turn: int = 1) -> None:
        """Judge, keep the networks, announce; the last `turn` ends it, whatever happens."""
        trial = await self._store.trial(name, version, precision)
        if trial.ended:
            return
        try:
            begin(turn)
            outcome = await self._judge(trial)
            artefact = await self._keep(trial, outcome.artefact) if outcome.artefact else None
        except Exception as error:
            await self._end(failed(trial, error, turn))
        else:
            await self._end(_judged(trial, outcome, artefact))

    async def _judge(self, trial: Trial) -> TrialOutcome:
        snapshot = await read_snapshot(self._objects, trial.dataset.manifest)
        model = await self._store.model(trial.model.name, trial.model.version)
        plan = TrialPlan(
            bundle=await self._objects.get(model.bundle),
            precision=trial.precision,
            dataset=trial.dataset.digest,
            threads=self._threads,
        )

        async def listen(said: Said) -> bool:
            await self._note(trial, said.progress)
            return True

        return await self._worker.guard(plan, case_files(self._objects, snapshot, ("validation",)), listen)

    async def _note(self, trial: Trial, progress: Progress) -> None:
        async with self._store.change() as change:
            current = await change.lock_trial(trial)
            if noted := advanced(current, trial, progress):
                await change.save_trial(noted)

    async def _keep(self, trial: Trial, artefact: bytes) -> ObjectRef:
        return await self._objects.put(
            artefact,
            project=REGISTRY,
            entity="model",
            id=Slug(trial.model.name),
            kind=trial.precision,
            media_type="application/zip",
            extension="zip",
        )

    async def _end(self, found: Trial) -> None:
        async with self._store.change() as change:
            current = await change.lock_trial(found)
            if done := ended(current, found, self._now()):
                await change.announce_trial(done)
                await change.save_trial(done)


def _judged(trial: Trial, outcome: TrialOutcome, artefact: ObjectRef | None) -> Trial:
    return replace(
        trial,
        state="accepted" if outcome.accepted else "refused",
        artefact=artefact,
        report=outcome.report,
        speedup=outcome.speedup,
        message=outcome.message,
    )
