"""The process that does the heavy work. It has no credentials: files come to it, reports and the result go back.

Over one pipe, messages as pairs. Parent -> child: ("case", CaseFile)..., ("end", None), later perhaps ("stop", None).
Child -> parent: ("said", Said)..., then ("outcome", ...) or ("error", exception). A child whose parent is gone ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from irp_kernel.errors import IrpError, Unavailable

from irp_training.app.ports import CaseFiles, Listener
from irp_training.domain.challenges.challenge import CaseScore, Metric
from irp_training.domain.challenges.scoring import score_bundle_entry
from irp_training.domain.lesson import CaseFile, Lesson, Outcome, Plan, Said, score_bundle
from irp_training.domain.trial import PrecisionTrial, TrialOutcome, TrialPlan

NICENESS = 5  # training gives way to whoever answers people


class WorkerDied(Unavailable):
    """The training process ended before its result.

    The run goes on from its latest checkpoint by itself.
    """

    retry_after_s = 2.0


class ProcessWorker:
    """One fresh process per piece of work."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._processes: set[BaseProcess] = set()

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        """Run a plan; None if the listener said that it is cancelled."""
        outcome: Outcome | None = await self._outcome(_train, (plan, self._device, checkpoint), files, listen)
        return outcome

    async def score(self, bundle: bytes, files: CaseFiles) -> dict[str, dict[str, float]]:
        """Dice per case and structure."""
        scores: dict[str, dict[str, float]] = await self._outcome(_score, (bundle, self._device), files, _nobody)
        return scores

    async def guard(self, plan: TrialPlan, files: CaseFiles, listen: Listener) -> TrialOutcome:
        """Judge a reduced precision; on the CPU, whose engine it is for."""
        outcome: TrialOutcome = await self._outcome(_guard, (plan,), files, listen)
        return outcome

    async def examine(
        self, bundle: bytes, files: CaseFiles, structures: tuple[str, ...], metrics: tuple[Metric, ...]
    ) -> list[CaseScore]:
        """Every metric of every case of a challenge's test set."""
        arguments = (bundle, structures, metrics, self._device)
        scores: list[CaseScore] = await self._outcome(_examine, arguments, files, _nobody)
        return scores

    async def stop(self) -> None:
        """End what still works; it is done again from its checkpoint."""
        for process in list(self._processes):
            process.kill()

    async def _outcome(self, work: Any, arguments: tuple[Any, ...], files: CaseFiles, listen: Listener) -> Any:
        """What the work ends with; None if the listener wants no more of it."""
        with self._process(work, arguments) as pipe:
            await self._hand_over(pipe, files)
            while True:
                kind, content = await _receive(pipe)
                if kind == "said" and not await listen(content):
                    return None
                if kind == "outcome":
                    return content

    @contextlib.contextmanager
    def _process(self, work: Any, arguments: tuple[Any, ...]) -> Iterator[Connection]:
        context = multiprocessing.get_context("spawn")
        mine, theirs = context.Pipe()
        process = context.Process(target=_child, args=(work, theirs, arguments), daemon=True)
        process.start()
        theirs.close()
        self._processes.add(process)
        try:
            yield mine
        finally:
            mine.close()
            process.kill()
            process.join()
            self._processes.discard(process)

    @staticmethod
    async def _hand_over(pipe: Connection, files: CaseFiles) -> None:
        try:
            async for file in files():
                await asyncio.to_thread(pipe.send, ("case", file))
            await asyncio.to_thread(pipe.send, ("end", None))
        except (BrokenPipeError, OSError):
            # The child ended early: its error is on the pipe, or it died.
            return


async def _nobody(said: Said) -> bool:
    """Listens to what says nothing."""
    return True


async def _receive(pipe: Connection) -> tuple[str, Any]:
    while not await asyncio.to_thread(_ready, pipe):
        pass
    try:
        kind, content = await asyncio.to_thread(pipe.recv)
    except (EOFError, OSError):
        raise WorkerDied from None
    if kind == "error":
        raise content
    return kind, content


def _ready(pipe: Connection) -> bool:
    try:
        return pipe.poll(1.0)
    except (OSError, BrokenPipeError):
        return True  # the next recv says what is wrong


def _child(work: Any, pipe: Connection, arguments: tuple[Any, ...]) -> None:
    os.nice(NICENESS)
    try:
        pipe.send(("outcome", work(pipe, *arguments)))
    except IrpError as error:
        pipe.send(("error", error))


def _train(pipe: Connection, plan: Plan, device: str, checkpoint: bytes | None) -> Outcome:
    def say(said: Said) -> None:
        pipe.send(("said", said))

    return Lesson(replace(plan, device=device), say)(_files(pipe), checkpoint)


def _score(pipe: Connection, bundle: bytes, device: str) -> dict[str, dict[str, float]]:
    return score_bundle(bundle, _files(pipe), device)


def _examine(
    pipe: Connection, bundle: bytes, structures: tuple[str, ...], metrics: tuple[Metric, ...], device: str
) -> list[CaseScore]:
    return score_bundle_entry(bundle, _files(pipe), structures, metrics, device)


def _guard(pipe: Connection, plan: TrialPlan) -> TrialOutcome:
    return PrecisionTrial(plan, lambda said: pipe.send(("said", said)))(_files(pipe))


def _files(pipe: Connection) -> Iterator[CaseFile]:
    while True:
        kind, content = pipe.recv()
        if kind == "end":
            _leave_with(pipe)
            return
        yield content


def _leave_with(pipe: Connection) -> None:
    """From now on nothing comes from the parent: when the pipe ends, the parent is gone, and so are we."""

    def watch() -> None:
        with contextlib.suppress(EOFError, OSError):
            pipe.recv()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
