"""The processes that do the heavy work. They have no credentials: files come to them, reports and the result go back.

A run may have several ("ranks"): all are given the same files, rank 0 reports, and when one dies all end. How they
speak is in `exchange.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from irp_bundle import Pipeline
from irp_kernel import decode_mask, decode_volume

from irp_training.adapters.exchange import Feed, RunFiles, child, files_from, hear
from irp_training.adapters.ranks import Group, Seat, devices_of, seated
from irp_training.adapters.sandbox_bounds import SandboxBounds
from irp_training.adapters.sandbox_engine import engines_of
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.challenges.challenge import CaseScore, Metric
from irp_training.domain.challenges.scoring import score_model_entry
from irp_training.domain.judging.scores import score_case
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.reducing.trial import PrecisionTrial, TrialOutcome, TrialPlan
from irp_training.domain.registry.examined import Examined, examine
from irp_training.domain.validations.plan import ValidationOutcome, ValidationPlan

# Seconds for every child, unless what it is forked from has them: nets, and deterministic algorithms.
SLOW_IMPORTS = ("monai.networks.nets", "torch._inductor")


class ProcessWorker:
    """Fresh processes for every piece of work.

    Args:
        device: "cpu", "cuda", "cuda:1"...
        bounds: of the sandbox, which computes networks that came as they run.
        processes: that share a run; 0 = one per GPU, and one on a CPU.
    """

    def __init__(self, device: str, bounds: SandboxBounds, processes: int = 1) -> None:
        self._device, self._bounds = device, bounds
        self._devices = devices_of(device, processes)
        self._processes: set[BaseProcess] = set()

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        """Run a plan; None if the listener said that it is cancelled."""
        # A rank without a share of the batch would have nothing to learn from.
        devices = self._devices[: plan.recipe.batch or len(self._devices)]
        with seated(devices) as seats:
            each = [(plan, seat, checkpoint) for seat in seats]
            outcome: Outcome | None = await self._outcome(_train, each, files, listen)
        return outcome

    async def examine(
        self, bundles: Sequence[bytes], files: CaseFiles, listen: Callable[[int], Awaitable[None]]
    ) -> tuple[Examined, ...]:
        """What the gate compares, of each bundle on the same files."""
        arguments = (tuple(bundles), self._device, self._bounds)
        found: tuple[Examined, ...] = await self._outcome(_examine, [arguments], files, _to_the_end(listen))
        return found

    async def appraise(
        self, bundle: bytes, files: CaseFiles, listen: Callable[[int], Awaitable[None]]
    ) -> list[Mapping[str, float]]:
        """Dice per structure, case by case in their order, of a bundle from outside: the sandbox computes it."""
        arguments = (bundle, self._bounds)
        found: list[Mapping[str, float]] = await self._outcome(_appraise, [arguments], files, _to_the_end(listen))
        return found

    async def guard(self, plan: TrialPlan, files: CaseFiles, listen: Listener) -> TrialOutcome:
        """Judge a reduced precision; on the CPU, whose engine it is for."""
        outcome: TrialOutcome = await self._outcome(_guard, [(plan,)], files, listen)
        return outcome

    async def validate(self, plan: ValidationPlan, files: CaseFiles, listen: Listener) -> ValidationOutcome:
        """Examine a model."""
        arguments = (plan, self._device, self._bounds)
        outcome: ValidationOutcome = await self._outcome(_validate, [arguments], files, listen)
        return outcome

    async def score_entry(
        self, bundle: bytes, files: CaseFiles, structures: tuple[str, ...], metrics: tuple[Metric, ...]
    ) -> list[CaseScore]:
        """Every metric of every case of a challenge's test set."""
        arguments = (bundle, structures, metrics, self._device, self._bounds)
        scores: list[CaseScore] = await self._outcome(_score_entry, [arguments], files, _nobody)
        return scores

    async def stop(self) -> None:
        """End what still works; it is done again from its checkpoint."""
        for process in list(self._processes):
            process.kill()

    async def _outcome(
        self, work: Any, each: Sequence[tuple[Any, ...]], files: CaseFiles, listen: Callable[[Any], Awaitable[bool]]
    ) -> Any:
        """What the work ends with, in one process for each set of arguments; None if the listener wants no more."""
        async with contextlib.AsyncExitStack() as stack:
            pipes = [await stack.enter_async_context(self._process(work, arguments)) for arguments in each]
            feed = Feed(pipes, files)
            while True:
                kind, content = await hear(pipes)
                if kind == "next":
                    await feed.ask()
                elif kind == "again":  # of the first alone: the others only learn
                    feed = Feed(pipes[:1], files, only=content)
                elif kind == "outcome" or not await listen(content):
                    return content if kind == "outcome" else None

    @contextlib.asynccontextmanager
    async def _process(self, work: Any, arguments: tuple[Any, ...]) -> AsyncIterator[Connection]:
        context = _fresh_processes()
        mine, theirs = context.Pipe()
        process = context.Process(target=child, args=(work, theirs, arguments), daemon=True)
        await asyncio.to_thread(process.start)  # the first waits for what forks it to have imported
        theirs.close()
        self._processes.add(process)
        try:
            yield mine
        finally:
            process.kill()
            process.join()
            mine.close()  # last: whoever writes to it, or waits for it, has heard of its end
            self._processes.discard(process)


def _fresh_processes() -> multiprocessing.context.ForkServerContext:
    """Forks of a process that has done nothing but import this module: as clean as new ones, and there at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, *SLOW_IMPORTS])
    return context


def _to_the_end(listen: Callable[[int], Awaitable[None]]) -> Callable[[int], Awaitable[bool]]:
    """Of work that nobody ends before its time."""

    async def hear(count: int) -> bool:
        await listen(count)
        return True

    return hear


async def _nobody(said: Said) -> bool:
    """Listens to what says nothing."""
    return True


def _train(pipe: Connection, plan: Plan, seat: Seat, checkpoint: bytes | None) -> Outcome:
    def say(said: Said) -> None:
        pipe.send(("said", said))

    ranks = Group(seat) if seat.size > 1 else None
    lesson = Lesson(replace(plan, device=seat.device), say, ranks=ranks)
    if seat.rank == 0:
        return lesson(RunFiles(pipe), checkpoint)
    lesson.learn(files_from(pipe), checkpoint)
    # Who leaves breaks the last words of the others: the parent ends all when rank 0 has spoken.
    while True:
        threading.Event().wait()


def _examine(pipe: Connection, bundles: tuple[bytes, ...], device: str, bounds: SandboxBounds) -> tuple[Examined, ...]:
    with engines_of(bundles, device, bounds) as models:
        cases = ((case.series, volume, mask) for case, _, volume, mask in files_from(pipe))
        return examine(models, cases, lambda done: pipe.send(("said", done)))


def _appraise(pipe: Connection, data: bytes, bounds: SandboxBounds) -> list[Mapping[str, float]]:
    found: list[Mapping[str, float]] = []
    with engines_of([data], "cpu", bounds, from_outside=True) as (model,):
        pipeline = Pipeline(*model)
        for _, _, volume, mask in files_from(pipe):
            found.append(score_case(pipeline, decode_volume(volume), decode_mask(mask)))
            pipe.send(("said", len(found)))
    return found


def _score_entry(
    pipe: Connection,
    data: bytes,
    structures: tuple[str, ...],
    metrics: tuple[Metric, ...],
    device: str,
    bounds: SandboxBounds,
) -> list[CaseScore]:
    with engines_of([data], device, bounds) as (model,):
        return score_model_entry(Pipeline(*model), files_from(pipe), structures, metrics)


def _guard(pipe: Connection, plan: TrialPlan) -> TrialOutcome:
    return PrecisionTrial(plan, lambda said: pipe.send(("said", said)))(files_from(pipe))


def _validate(pipe: Connection, plan: ValidationPlan, device: str, bounds: SandboxBounds) -> ValidationOutcome:
    # Only this work draws; loading that takes a second.
    from irp_training.domain.validations.work import ValidationWork

    with engines_of([plan.bundle], device, bounds) as (model,):
        return ValidationWork(plan, Pipeline(*model), lambda said: pipe.send(("said", said)))(files_from(pipe))
