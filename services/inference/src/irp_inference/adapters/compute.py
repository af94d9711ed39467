"""The way to the networks: live requests first, expired and cancelled ones dropped before they cost anything."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from irp_bundle import Stage
from irp_kernel.errors import DeadlineExceeded
from numpy.typing import NDArray
from prometheus_client import Gauge, Histogram

from irp_inference.app.ports import Loaded, Ticket
from irp_inference.app.repository import Passes
from irp_inference.domain.errors import InferenceQueueFull

WAITING = Gauge("irp_inference_waiting_requests", "Requests that wait for the engine")
QUEUE_SECONDS = Histogram("irp_inference_queue_seconds", "Seconds a request waited for the engine")

T = TypeVar("T")
Logits = NDArray[np.float32]


@dataclass(order=True, slots=True)
class _Waiting:
    lane: int
    number: int
    model: Loaded = field(compare=False)
    stage: Stage = field(compare=False)
    inputs: NDArray[np.float32] = field(compare=False)
    answer: asyncio.Future[Logits] = field(compare=False)
    until: float | None = field(compare=False)
    since: float = field(compare=False)


class OneByOne:
    """See app.ports.Batches."""

    def __init__(self, limit: int, passes: Passes | None = None) -> None:
        self._limit, self._passes = limit, passes
        self._queue: asyncio.PriorityQueue[_Waiting] = asyncio.PriorityQueue()
        self._numbers = itertools.count()

    async def forward(self, model: Loaded, stage: Stage, inputs: NDArray[np.float32], ticket: Ticket) -> Logits:
        """The logits, when it was this ticket's turn.

        Raises:
            InferenceQueueFull: too many wait.
            DeadlineExceeded: the ticket's time passed while it waited.
        """
        if self._queue.qsize() >= self._limit:
            raise InferenceQueueFull(f"{self._limit} requests wait", waiting=self._limit)
        answer: asyncio.Future[Logits] = asyncio.get_running_loop().create_future()
        number, now = next(self._numbers), time.monotonic()
        self._queue.put_nowait(_Waiting(ticket.lane, number, model, stage, inputs, answer, ticket.until, now))
        WAITING.set(self._queue.qsize())
        return await answer

    async def serve(self, stopping: asyncio.Event) -> None:
        """Work off the queue until `stopping` and empty."""
        while not (stopping.is_set() and self._queue.empty()):
            try:
                waiting = await asyncio.wait_for(self._queue.get(), 0.5)
            except TimeoutError:
                continue
            WAITING.set(self._queue.qsize())
            queued = time.monotonic() - waiting.since
            QUEUE_SECONDS.observe(queued)
            if waiting.answer.done():  # its caller went away
                continue
            if waiting.until is not None and waiting.until <= time.monotonic():
                waiting.answer.set_exception(DeadlineExceeded())
                continue
            await self._work(waiting, queued)

    async def _work(self, waiting: _Waiting, queued: float) -> None:
        began = time.monotonic()
        try:
            result = await waiting.model.nets.forward(waiting.stage, waiting.inputs)
        except Exception as error:
            self._tell(waiting, queued, began, ok=False)
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
        else:
            self._tell(waiting, queued, began, ok=True)
            if not waiting.answer.done():
                waiting.answer.set_result(result)

    def _tell(self, waiting: _Waiting, queued: float, began: float, *, ok: bool) -> None:
        if self._passes is not None:
            took = time.monotonic() - began
            self._passes.passed(waiting.model, waiting.stage, len(waiting.inputs), queued, took, ok=ok)


class Threads:
    """See app.ports.Offload."""

    def __init__(self, size: int) -> None:
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="beside")

    async def __call__(self, work: Callable[[], T]) -> T:
        """Run in one of the threads."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
