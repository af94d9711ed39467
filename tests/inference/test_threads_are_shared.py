"""What you learn here: threads have turns by lane and project, as the device has; long work starves nobody."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from irp_inference.adapters.threads import Threads
from irp_inference.app.ports import Lane, Ticket
from irp_inference.domain.errors import InferenceQueueFull
from irp_kernel.errors import DeadlineExceeded

FLOOD, READER = Ticket(project="flood"), Ticket(project="reader")


class Work:
    """Work of a name that goes on until it may end; `order` says who began."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.go = threading.Event()

    def __call__(self, name: str) -> str:
        self.order.append(name)
        assert self.go.wait(10)
        return name


@asynccontextmanager
async def some(size: int, each: int = 0, limit: int = 0) -> AsyncIterator[tuple[Threads, Work]]:
    threads, work = Threads(size, each=each, limit=limit), Work()
    try:
        yield threads, work
    finally:
        work.go.set()
        await threads.close()


def begin(threads: Threads, work: Work, name: str, ticket: Ticket) -> asyncio.Task[str]:
    return asyncio.create_task(threads(partial(work, name), ticket))


async def until_begun(work: Work, number: int) -> None:
    async with asyncio.timeout(5):
        while len(work.order) < number:
            await asyncio.sleep(0.001)


async def test_one_project_never_holds_every_thread() -> None:
    async with some(2, each=1) as (threads, work):
        flood = [begin(threads, work, f"flood {number}", FLOOD) for number in range(8)]
        await until_begun(work, 1)
        assert await asyncio.wait_for(threads(lambda: "at once", READER), 5) == "at once"
        assert work.order == ["flood 0"]
        work.go.set()
        assert await asyncio.gather(*flood) == [f"flood {number}" for number in range(8)]


async def test_lanes_and_projects_have_their_turns() -> None:
    async with some(1) as (threads, work):
        tasks = [begin(threads, work, "first", FLOOD)]
        await until_begun(work, 1)
        nobody = Ticket(project="nobody", lane=Lane.BACKGROUND)
        asked = [("nobody", nobody), ("flood 1", FLOOD), ("flood 2", FLOOD), ("reader", READER)]
        tasks += [begin(threads, work, name, ticket) for name, ticket in asked]
        await asyncio.sleep(0)
        work.go.set()
        await asyncio.gather(*tasks)
        assert work.order == ["first", "flood 1", "reader", "flood 2", "nobody"]


async def test_who_goes_away_or_is_late_is_not_begun_and_holds_nothing() -> None:
    async with some(1) as (threads, work):
        first = begin(threads, work, "first", FLOOD)
        await until_begun(work, 1)
        gone = begin(threads, work, "gone", READER)
        with pytest.raises(DeadlineExceeded):
            await begin(threads, work, "late", Ticket(project="reader", until=time.monotonic() + 0.01))
        gone.cancel()
        first.cancel()  # its thread works on, and is held until it ends
        await asyncio.wait({gone, first})
        last = begin(threads, work, "last", READER)
        await asyncio.sleep(0.01)
        assert work.order == ["first"]
        work.go.set()
        assert await last == "last"
        assert work.order == ["first", "last"]


async def test_what_waits_is_bounded_and_one_project_leaves_room_for_others() -> None:
    async with some(1, limit=4) as (threads, work):
        tasks = [begin(threads, work, str(number), FLOOD) for number in range(4)]
        await until_begun(work, 1)
        with pytest.raises(InferenceQueueFull):
            await begin(threads, work, "too many of one", FLOOD)
        tasks.append(begin(threads, work, "reader", READER))
        await asyncio.sleep(0)
        with pytest.raises(InferenceQueueFull):
            await begin(threads, work, "too many", READER)
        work.go.set()
        assert len(await asyncio.gather(*tasks)) == 5


async def test_work_that_fails_gives_its_thread_back() -> None:
    async with some(1) as (threads, _):
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await threads(lambda: 1 // 0, READER)
        assert await threads(lambda: 1, READER) == 1
