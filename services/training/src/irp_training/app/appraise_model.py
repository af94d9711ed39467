"""A queued appraisal -> a report. Killed at any point, it is done again."""

from __future__ import annotations

import json
from dataclasses import replace

from irp_training.app.attempts import advanced, begin, ended, failed
from irp_training.app.case_files import case_files
from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Clock, Objects, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.app.unseen import Unseen
from irp_training.app.work_ports import Appraiser, Inspect
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.judging.gate import Scores
from irp_training.domain.pushing.appraisal import UNMEASURED, Appraisal, benchmark
from irp_training.domain.registry.registry import Model, champion
from irp_training.domain.run import Progress


class AppraiseModel:
    """Works on one appraisal until it has ended."""

    def __init__(self, store: Store, objects: Objects, inspect: Inspect, worker: Appraiser, now: Clock) -> None:
        self._store, self._objects, self._inspect, self._worker, self._now = store, objects, inspect, worker, now
        self._learnt_from, self._unseen = LearntFrom(store, objects), Unseen(store, objects)

    async def __call__(self, name: str, version: int, *, turn: int = 1) -> None:
        """Look through the bundle if nobody has, judge it; the last `turn` ends it, whatever happens."""
        asked = await self._store.appraisal(name, version)
        if asked.ended:
            return
        found = asked
        try:
            begin(turn)
            found = await self._inspected(found)
            found = await self._measured(found)
        except Exception as error:
            found = failed(found, error, turn)
        await self._end(found)

    async def _inspected(self, asked: Appraisal) -> Appraisal:
        if asked.inspection:
            return asked
        await self._note(asked, Progress(fraction=0.0, step="looking through the bundle"))
        model = await self._store.model(asked.model.name, asked.model.version)
        found = await self._inspect(await self._objects.get(model.bundle))
        return replace(asked, inspection=json.dumps(found.document(), sort_keys=True))

    async def _measured(self, asked: Appraisal) -> Appraisal:
        if asked.dataset is None:
            return replace(asked, state="ended", message=UNMEASURED)
        model = await self._store.model(asked.model.name, asked.model.version)
        best = champion(await self._store.history(model.ref.name))
        rival = await self._store.model(model.ref.name, best) if best not in {None, model.ref.version} else None
        snapshot = await read_snapshot(self._objects, asked.dataset.manifest)
        cases, known = snapshot.of("validation"), await self._learnt_from(model)
        seen, left_out = sum(known.knows(snapshot.project, case) for case in cases), 0
        mine = await self._scored(asked, model, snapshot, 0.0, 0.5 if rival else 1.0)
        theirs: Scores = {}
        if rival:
            fair, left_out = await self._unseen(asked.dataset, model, rival)
            if fair.count("validation"):
                theirs = await self._scored(asked, rival, fair, 0.5, 1.0)
        measured = benchmark(
            model, rival, asked.dataset, cases, mine, theirs, seen=seen, whole=known.whole, left_out=left_out
        )
        return replace(asked, state="ended", benchmark=measured)

    async def _scored(self, asked: Appraisal, model: Model, snapshot: Snapshot, first: float, end: float) -> Scores:
        count = max(1, snapshot.count("validation"))
        cases = [case.series for case in snapshot.of("validation")]

        async def listen(done: int) -> None:
            fraction = min(end, first + (end - first) * done / count)
            await self._note(asked, Progress(fraction=fraction, step=f"judging {model.ref}: {done} of {count} cases"))

        await listen(0)
        bundle = await self._objects.get(model.bundle)
        dice = await self._worker.appraise(bundle, case_files(self._objects, snapshot, ("validation",)), listen)
        return dict(zip(cases, dice, strict=True))

    async def _note(self, asked: Appraisal, progress: Progress) -> None:
        async with self._store.change() as change:
            current = await change.lock_appraisal(asked)
            if noted := advanced(current, asked, progress):
                await change.save_appraisal(noted)

    async def _end(self, found: Appraisal) -> None:
        async with self._store.change() as change:
            current = await change.lock_appraisal(found)
            if done := ended(current, found, self._now()):
                await change.save_appraisal(done)
