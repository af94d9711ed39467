"""One thread for all heavy work: live requests first, expired ones dropped before they cost anything."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from irp_chassis.rpc_server import deadline
from irp_kernel.errors import DeadlineExceeded
from prometheus_client import Gauge, Histogram

from irp_inference.domain.errors import InferenceQueueFull

WAITING = Gauge("irp_inference_waiting_requests", "Requests that wait for the engine")
QUEUE_SECONDS = Histogram("irp_inference_queue_seconds", "Seconds a request waited for the engine")

T = TypeVar("T")


@dataclass(order=True, slots=True)
class _Waiting:
    priority: int
    number: int
    work: Callable[[], Any] = field(compare=False)
    answer: asyncio.Future[Any] = field(compare=False)
    until: float | None = field(compare=False)
    since: float = field(compare=False)


class EngineThread:
    """See app.ports.Compute."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._queue: asyncio.PriorityQueue[_Waiting] = asyncio.PriorityQueue()
        self._numbers = itertools.count()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="engine")

    async def run(self, work: Callable[[], T], *, priority: int) -> T:
        """Run in the engine's thread when it is this request's turn.

        Raises:
            InferenceQueueFull: too many wait.
            DeadlineExceeded: the caller's deadline passed while it waited.
        """
        if self._queue.qsize() >= self._limit:
            raise InferenceQueueFull(f"{self._limit} requests wait", waiting=self._limit)
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        now = time.monotonic()
        self._queue.put_nowait(_Waiting(priority, next(self._numbers), work, answer, deadline.get(), now))
        WAITING.set(self._queue.qsize())
        return await answer

    async def serve(self, stopping: asyncio.Event) -> None:
        """Work off the queue until `stopping` and empty."""
        loop = asyncio.get_running_loop()
        while not (stopping.is_set() and self._queue.empty()):
            try:
                waiting = await asyncio.wait_for(self._queue.get(), 0.5)
            except TimeoutError:
                continue
            WAITING.set(self._queue.qsize())
            QUEUE_SECONDS.observe(time.monotonic() - waiting.since)
            if waiting.answer.done():  # its caller went away
                continue
            if waiting.until is not None and waiting.until <= time.monotonic():
                waiting.answer.set_exception(DeadlineExceeded())
                continue
            await self._work(loop, waiting)

    async def _work(self, loop: asyncio.AbstractEventLoop, waiting: _Waiting) -> None:
        try:
            result = await loop.run_in_executor(self._thread, waiting.work)
        except Exception as error:
            if not waiting.answer.done():
                waiting.answer.set_exception(error)
        else:
            if not waiting.answer.done():
                waiting.answer.set_result(result)
