"""A queued run -> a registered version, perhaps the champion. Killed at any point, it goes on from its checkpoint.

Five processes in a row that brought no new checkpoint end it, whatever stopped them. A part that is down before a
process begins is waited for; the run is queued meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import structlog
from irp_kernel import ObjectRef
from irp_kernel.errors import IrpError

from irp_training.app.attempts import TURNS, WAITS, begin, is_transient, last_word
from irp_training.app.case_files import case_files
from irp_training.app.finish_run import FinishRun
from irp_training.app.keep_apart import KeepApart
from irp_training.app.measuring import Measuring
from irp_training.app.ports import Files, Objects, Project, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.app.work_ports import CaseFiles, Worker
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.datasets.replay import to_replay
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.price import FREE, Price
from irp_training.domain.recipes.recipe import read_frozen
from irp_training.domain.run import DatasetRow, KeptOverlay, Progress, Run
from irp_training.domain.watching.overlay import Overlay

T = TypeVar("T")
LOOK_S = 10.0  # seconds between two looks at the row of a run that works; a killed room forgets as many at most


class Cancelled(Exception):
    """Somebody asked for the end of the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the room says of runs whose recipe does not: CPU threads, and the price of an hour."""

    threads: int
    price: Price = FREE


class TrainRun:
    """Works on one run until it has ended."""

    def __init__(
        self, store: Store, objects: Objects, worker: Worker, finish: FinishRun, terms: Terms, files: Files
    ) -> None:
        self._store, self._objects, self._worker, self._finish = store, objects, worker, finish
        self._terms, self._files = terms, files
        # Who is held out may have changed since the run was queued.
        self._keep_apart = KeepApart(store, objects)

    async def __call__(self, project_id: str, run_id: str, *, turn: int = 1) -> None:
        """Train, validate, register; raises what may be otherwise at the next `turn`, all else ends the run."""
        run, project = await self._store.run(project_id, run_id), await self._store.project(project_id)
        if run.ended or project is None:
            return
        try:
            if run.cancel_asked:
                raise Cancelled
            begin(run.turns + 1)
            await self._keep_apart(run.project, run.dataset, run.base)
            snapshot = await self._snapshot(run.dataset)
            replay = to_replay(snapshot, [await self._snapshot(row) for row in run.replay])
            outcome = await self._learn(run, case_files(self._files, snapshot, replay=replay))
            await self._succeed(run, project, outcome, turn)
        except Cancelled:
            await self._finish.ended(run, project, "cancelled")
        except Exception as error:
            await self._fail(run, project, error, turn)

    async def _fail(self, run: Run, project: Project, error: Exception, turn: int) -> None:
        """Ends the run; or lets it wait for its next turn, and raises."""
        try:
            told = await self._last_word(run, error, turn)
        except Exception:
            if await self._put_back(run):
                raise
            await self._finish.ended(run, project, "cancelled")
        else:
            await self._finish.ended(run, project, "failed", reason=told.reason, message=told.message)

    async def _last_word(self, run: Run, error: Exception, turn: int) -> IrpError:
        begun = (await self._store.run(run.project, run.id)).turns
        last = begun >= TURNS or turn >= (WAITS if is_transient(error) else TURNS)
        return last_word(error, "Run", last=last)

    async def _succeed(self, run: Run, project: Project, outcome: Outcome, turn: int) -> None:
        """The gate measures for minutes: who cancels meanwhile waits for it as little as for learning."""

        async def last_word_on(error: Exception) -> IrpError:
            return await self._last_word(run, error, turn)

        measuring = Measuring()

        async def look() -> None:
            await self._look(run, measuring=measuring.progress)

        await _watched(self._finish.succeeded(run, project, outcome, last_word_on, measuring), look)

    async def _put_back(self, run: Run) -> bool:
        """The run waits as others do, and is cancelled at once as they are; False if that was asked meanwhile."""
        async with self._store.change() as change:
            current = await change.lock_run(run.project, run.id)
            if current.state == "running":
                waits = replace(current.progress, step=Progress().step, eta_s=Progress().eta_s)
                await change.save_run(replace(current, state="queued", progress=waits))
        return not current.cancel_asked

    async def _snapshot(self, row: DatasetRow) -> Snapshot:
        return await read_snapshot(self._objects, row.manifest)

    async def _learn(self, run: Run, files: CaseFiles) -> Outcome:
        run = self._begun(run)
        plan = await self._plan(run)
        checkpoint = await self._objects.get(run.checkpoint) if run.checkpoint else None
        await self._begin(run)

        async def listen(report: Said) -> bool:
            return await self._note(run, report)

        async def look() -> None:
            await self._look(run, run.spent_s + time.monotonic() - began)

        began = time.monotonic()
        outcome = await _watched(self._worker.train(plan, files, checkpoint, listen), look)
        if outcome is None:
            raise Cancelled
        return outcome

    def _begun(self, run: Run) -> Run:
        recipe = read_frozen(run.recipe)
        if recipe.threads == 0:
            recipe = replace(recipe, threads=self._terms.threads)
        begun = replace(run, state="running", recipe=recipe.to_json(), progress=Progress(step="reading the dataset"))
        if not run.turns and not run.checkpoint:  # a run that goes on keeps the price that it began with
            begun = replace(begun, price_per_hour=self._terms.price.per_hour, currency=self._terms.price.currency)
        return replace(begun, turns=run.turns + 1)

    async def _begin(self, begun: Run) -> None:
        async with self._store.change() as change:
            current = await change.lock_run(begun.project, begun.id)
            if current.cancel_asked:
                raise Cancelled
            await change.save_run(replace(begun, priority=current.priority, version=current.version))

    async def _look(self, run: Run, spent_s: float = 0.0, measuring: Progress | None = None) -> None:
        """Time counts whatever the process says of it, or when it is killed; and somebody may want no more of it."""
        try:
            async with self._store.change() as change:
                current = await change.lock_run(run.project, run.id)
                seen = replace(current, spent_s=max(current.spent_s, spent_s))
                if measuring is not None and not current.ended:  # what was learnt stays learnt: its share is kept
                    seen = replace(seen, progress=replace(measuring, fraction=current.progress.fraction))
                if seen != current:
                    await change.save_run(seen)
        except Exception as error:  # a database that is away for a moment ends no process: the next look makes up
            structlog.get_logger().warning("run_not_looked_at", run=run.id, exc_info=error)
            return
        if current.cancel_asked:
            raise Cancelled

    async def _plan(self, run: Run) -> Plan:
        recipe = read_frozen(run.recipe)
        base = b""
        if run.base is not None:
            base = await self._objects.get((await self._store.model(run.base.name, run.base.version)).bundle)
        return Plan(
            model=run.model,
            recipe=recipe,
            base=base,
            base_name=str(run.base) if run.base else "",
            dataset_digest=run.dataset.digest,
            run=run.id,
            created_at=run.created_at,
            price=run.price,
            spent_s=run.spent_s,
        )

    async def _note(self, run: Run, report: Said) -> bool:
        checkpoint = await self._keep(run, report.checkpoint) if report.checkpoint else None
        overlays = [await self._keep_overlay(run, overlay) for overlay in report.overlays]
        async with self._store.change() as change:
            current = await change.lock_run(run.project, run.id)
            await change.add_metrics(current, report.metrics)
            await change.add_overlays(current, overlays)
            noted = replace(current, progress=report.progress, checkpoint=checkpoint or current.checkpoint)
            noted = replace(noted, configured=report.configured or current.configured)
            noted = replace(noted, turns=0 if checkpoint else current.turns)
            await change.save_run(replace(noted, spent_s=max(current.spent_s, report.spent_s)))
        return not current.cancel_asked

    async def _keep(self, run: Run, checkpoint: bytes) -> ObjectRef:
        return await self._objects.put(
            checkpoint,
            project=run.project,
            entity="run",
            id=run.id,
            kind="checkpoint",
            media_type="application/octet-stream",
            extension="pt",
        )

    async def _keep_overlay(self, run: Run, overlay: Overlay) -> KeptOverlay:
        picture = await self._objects.put(
            overlay.picture,
            project=run.project,
            entity="run",
            id=run.id,
            kind="overlay",
            media_type="image/png",
            extension="png",
        )
        return KeptOverlay(epoch=overlay.epoch, which=overlay.which, dice=overlay.dice, picture=picture)


async def _watched(work: Coroutine[Any, Any, T], look: Callable[[], Awaitable[None]]) -> T:
    """What the work ends with. It may say nothing for long, or for ever: `look`, now and then, may raise and end it."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK_S)
            await look()
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
