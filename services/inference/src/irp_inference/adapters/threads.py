"""Threads beside the networks: crops, labels and post-processing in some of them, conventional methods in others."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import torch
from irp_kernel.errors import DeadlineExceeded

from irp_inference.app.ports import Ticket
from irp_inference.domain.batching import Bounds, Line, Pass, Request
from irp_inference.domain.errors import InferenceQueueFull

T = TypeVar("T")
ONE_BY_ONE = Bounds(most=1)


class Threads:
    """See app.ports.Offload. Lanes and projects have their turns as they have on the device.

    Args:
        size: threads.
        each: threads that one project may hold while others might come; 0 = all.
        limit: pieces of work that may wait, of which one project may have three quarters; 0 = any number.
    """

    def __init__(self, size: int, *, each: int = 0, limit: int = 0) -> None:
        # these threads are the parallelism; torch's own would spin beside the engines' processes
        torch.set_num_threads(1)
        self._pool = ThreadPoolExecutor(size, thread_name_prefix="beside")
        self._size, self._each, self._limit = size, each or size, limit
        self._line, self._numbers = Line(), itertools.count()
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._held: Counter[str] = Counter()

    async def __call__(self, work: Callable[[], T], ticket: Ticket, rows: int = 1) -> T:
        """See app.ports.Offload."""
        if self._turns or self._held.total() >= self._size or self._held[ticket.project] >= self._each:
            await self._turn(ticket, rows)
        else:
            self._held[ticket.project] += 1
        begun = self._pool.submit(work)
        try:
            return await asyncio.wrap_future(begun)
        finally:
            if begun.done():
                self._give_back(ticket.project)
            else:  # the caller went away; its thread works on
                begun.add_done_callback(partial(self._ended, asyncio.get_running_loop(), ticket.project))

    async def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, ticket: Ticket, rows: int) -> None:
        """Return when a thread is held for it."""
        self._require_room(ticket.project)
        request = Request(
            number=next(self._numbers),
            kind=None,
            project=ticket.project,
            lane=ticket.lane,
            rows=rows,
            since=time.monotonic(),
        )
        turn = self._turns[request.number] = asyncio.get_running_loop().create_future()
        self._line.add(request)
        self._decide()
        try:
            async with asyncio.timeout_at(ticket.until):  # the loop's clock is the monotonic one
                await turn
        except BaseException as error:
            self._turns.pop(request.number, None)
            if self._line.remove(request.number) is None:  # it went away in the moment of its turn
                self._give_back(ticket.project)
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded from None
            raise

    def _require_room(self, project: str) -> None:
        if self._limit and self._line.is_full(project, self._limit):
            waiting = len(self._line)
            raise InferenceQueueFull(f"{waiting} requests wait", waiting=waiting)

    def _decide(self) -> None:
        """Threads to those whose turn it is."""
        while self._held.total() < self._size:
            barred = [project for project, number in self._held.items() if number >= self._each]
            decision = self._line.decide(time.monotonic(), lambda _: ONE_BY_ONE, barred)
            if not isinstance(decision, Pass):
                break
            (request,) = decision.members
            self._held[request.project] += 1
            self._turns.pop(request.number).set_result(None)

    def _ended(self, loop: asyncio.AbstractEventLoop, project: str, _: Future[T]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._give_back, project)

    def _give_back(self, project: str) -> None:
        self._held[project] -= 1
        self._held += Counter()  # those that hold none are forgotten
        self._decide()
