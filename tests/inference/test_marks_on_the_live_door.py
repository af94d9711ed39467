"""What you learn here: methods are answered while a reader marks - the newest first, and what went stale not at all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from irp_inference.adapters.threads import Threads
from irp_inference.app.answer_wish import AnswerWish
from irp_inference.app.grow_across import Going
from irp_inference.app.live_session import Answered, Dropped, LiveSession, Partly, Refused
from irp_inference.app.ports import Offload, Ticket
from irp_inference.app.run_algorithm import RunAlgorithm
from irp_inference.app.segment_series import Answer, Wish
from irp_inference.domain.algorithms.marks import Marks
from irp_inference.domain.algorithms.table import Wanted
from irp_inference.domain.live_queue import Asked
from irp_kernel import Geometry, ObjectRef, Volume

from .live_builders import OneSeries, at_once
from .test_algorithms import BOTH, DISK, SIZE, a_disk, dice


class Disks:
    """A series of three slices with the same disk."""

    def volume(self) -> Any:
        geometry = Geometry(shape=(3, SIZE, SIZE), affine=tuple(map(tuple, np.eye(4))), frames=1)
        return Volume(geometry=geometry, array=np.stack([a_disk()] * 3)[None])

    async def get(self, ref: ObjectRef) -> Any:
        return self.volume()


class SlowDisks(Disks):
    """One that a thread reads only when it may; `begun` says that it wants to."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def volume(self) -> Any:
        disks, pixels = self, super().volume()

        class Array:
            def __getitem__(self, place: tuple[int, int]) -> Any:
                return self

            def __array__(self, *_: Any, **__: Any) -> Any:
                disks.begun.release()
                assert disks.go.acquire(timeout=5)
                return a_disk()

        class Slow:
            geometry, array = pixels.geometry, Array()

        return Slow()


async def no_model(wish: Wish, ticket: Any) -> Answer:
    raise AssertionError("no model was named")


@asynccontextmanager
async def a_session(disks: Disks, offload: Offload) -> AsyncIterator[LiveSession]:
    answer = AnswerWish(no_model, RunAlgorithm(OneSeries(), disks, no_model, offload))
    session = LiveSession(answer, limit=4, ahead=2)
    serving = asyncio.create_task(session.serve())
    try:
        yield session
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def a_wish(*slices: int, marks: Marks = BOTH, name: str = "graph-cut") -> Wish:
    return Wish(
        project="demo",
        series_uid="1.2",
        frames=[0],
        slices=list(slices),
        variant=None,
        marks={(0, number): marks for number in slices},
        method=Wanted(name=name, structure="scar"),
    )


async def ends(session: LiveSession, count: int) -> list[Any]:
    events = session.events()
    async with asyncio.timeout(5):
        return [await anext(events) for _ in range(count)]


async def test_a_method_answers_what_is_marked_and_looks_nowhere_ahead() -> None:
    async with a_session(Disks(), at_once) as session:
        await session.ask(Asked(id="a", what=a_wish(1), ahead=True))
        (end,) = await ends(session, 1)
        assert isinstance(end, Answered)
        assert end.answer.segmented.report.slices == (1,)
        assert dice(end.answer.segmented.labels[0, 0] > 0, DISK) >= 0.98
        await session.ask(Asked(id="b", what=a_wish(1, marks=Marks())))
        (refused,) = await ends(session, 1)
        assert isinstance(refused, Refused)
        assert refused.error.reason == "PROMPTS_NOT_VALID"


async def test_an_ask_that_waits_for_a_thread_is_superseded_without_a_look() -> None:
    begun, looked = asyncio.Event(), []

    async def busy(work: Callable[[], Any], ticket: Ticket, rows: int = 1) -> Any:
        begun.set()
        if not looked:
            looked.append("waits")
            await asyncio.Event().wait()
        return work()

    async with a_session(Disks(), busy) as session:
        await session.ask(Asked(id="old", what=a_wish(0)))
        await begun.wait()
        await session.ask(Asked(id="new", what=a_wish(1)))
        old, new = await ends(session, 2)
        assert old == Dropped("old", "superseded", passes=0)
        assert isinstance(new, Answered)


async def test_a_slice_that_was_begun_is_answered_and_the_newest_ask_is_next() -> None:
    disks, threads = SlowDisks(), Threads(1)
    async with a_session(disks, threads) as session:
        await session.ask(Asked(id="first", what=a_wish(0)))
        assert await asyncio.to_thread(disks.begun.acquire, timeout=5)
        await session.ask(Asked(id="skipped", what=a_wish(1)))
        await session.ask(Asked(id="newest", what=a_wish(2)))
        disks.go.release(2)
        found = await ends(session, 3)
        assert {event.id: type(event) for event in found} == {"skipped": Dropped, "first": Answered, "newest": Answered}
        assert [event.id for event in found if isinstance(event, Answered)] == ["first", "newest"]
    await threads.close()


async def test_of_many_slices_no_further_one_begins_once_the_ask_is_stale() -> None:
    disks, threads = SlowDisks(), Threads(1)
    async with a_session(disks, threads) as session:
        await session.ask(Asked(id="many", what=a_wish(0, 1, 2)))
        assert await asyncio.to_thread(disks.begun.acquire, timeout=5)
        await session.ask(Asked(id="one", what=a_wish(2)))
        disks.go.release(2)
        many, one = await ends(session, 2)
        assert many == Dropped("many", "superseded", passes=1)
        assert isinstance(one, Answered)
    await threads.close()


async def test_a_method_that_would_come_too_late_is_not_begun() -> None:
    async with a_session(Disks(), at_once) as session:
        await session.ask(Asked(id="late", what=a_wish(0), until=time.monotonic() - 1))
        assert (await ends(session, 1))[0] == Dropped("late", "expired")


def a_volume(marks: Marks = BOTH) -> Wish:
    """What is marked on slice 1 counts for the frame."""
    method = Wanted(name="region-growing", structure="scar", volume=True)
    return Wish(project="demo", series_uid="1.2", frames=[0], variant=None, marks={(0, 1): marks}, method=method)


async def test_a_volume_comes_as_parts_of_all_slices() -> None:
    async with a_session(Disks(), at_once) as session:
        await session.ask(Asked(id="a", what=a_volume()))
        part, end = await ends(session, 2)
        assert isinstance(part, Partly)
        assert (part.done, part.total) == (1, 1)
        labels = part.answer.segmented.labels
        assert [dice(one > 0, DISK) >= 0.98 for one in labels[0]] == [True] * 3
        assert end == Answered("a", part.answer, whole=True)


async def test_a_volume_that_is_marked_anew_supersedes_the_one_under_way_and_its_thread_ends() -> None:
    began, left = threading.Event(), threading.Event()

    async def slowly(work: Callable[[], Any], ticket: Ticket, rows: int = 1) -> Any:
        """The first waits in its thread until it is told that nobody waits any more."""
        if began.is_set():
            return work()
        return await asyncio.to_thread(_until_stopped, work, began, left)

    async with a_session(Disks(), slowly) as session:
        await session.ask(Asked(id="old", what=a_volume()))
        assert await asyncio.to_thread(began.wait, 5)
        await session.ask(Asked(id="new", what=a_volume()))
        heard = await ends(session, 3)
        assert Dropped("old", "superseded", passes=0) in heard
        assert [type(event) for event in heard if event.id == "new"] == [Partly, Answered]
        assert await asyncio.to_thread(left.wait, 5)


def _until_stopped(work: Any, began: threading.Event, left: threading.Event) -> None:
    going = next(given for given in work.args if isinstance(given, Going))
    began.set()
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            going()
        except asyncio.CancelledError:
            left.set()
            return


async def test_volumes_that_are_to_be_kept_are_bounded() -> None:
    never = asyncio.Event()

    async def waits(work: Callable[[], Any], ticket: Ticket, rows: int = 1) -> Any:
        await never.wait()

    async with a_session(Disks(), waits) as session:
        for name in ("a", "b", "c"):
            await session.ask(Asked(id=name, what=a_volume(), keep=True))
        (refused,) = await ends(session, 1)
        assert isinstance(refused, Refused)
        assert (refused.id, refused.error.reason) == ("c", "TOO_MANY_ASKS")
        await session.cancel("a")
        assert await ends(session, 1) == [Dropped("a", "cancelled")]
