"""What you learn here: what is stale, cancelled or late costs no forward pass; what lies ahead is there already."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from irp.common.v1.types_pb2 import ObjectRef, ProjectRef
from irp.inference.v1 import live_service_pb2 as pb
from irp.inference.v1.inference_service_pb2 import SegmentRequest
from irp_bundle import Forward, Steps
from irp_chassis.auth import Caller, act_as
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.live import LiveServicer
from irp_inference.adapters.threads import Threads
from irp_inference.app.drive import Drive
from irp_inference.app.live_session import EVENTS_LIMIT, Answered, Dropped, Event, Partly, Refused
from irp_inference.app.ports import Lane, Ticket
from irp_inference.app.segment_series import Wish
from irp_inference.domain.errors import AskIdTaken, ServerLeaves, TooManyAsks
from irp_inference.domain.live_queue import Asked, LiveQueue
from irp_inference.domain.look_ahead import Heading, Place, ahead_of, heading
from irp_kernel.errors import IrpError

from .live_builders import FRAMES, SLICES, Server, a_server

REF = ObjectRef(bucket="b", key="k", sha256="a" * 64, size=1, media_type="application/json")
PROJECT = ProjectRef(id="demo", revision=1, configuration=REF)


async def warm(server: Server) -> None:
    """The series is located, and one pass is held on the device for somebody else's slice."""
    await server.ask("warm", 8, frame=3)
    assert isinstance(await server.end(), Answered)
    server.nets.passes.clear()
    while not server.nets.begun.empty():
        server.nets.begun.get_nowait()


async def hold_the_device(server: Server) -> asyncio.Task[object]:
    """Another reader's pass occupies the device until `go`."""
    server.nets.hold = True
    other = Wish(project="demo", series_uid="1.2", model="heart", frames=[3], slices=[0])
    task = asyncio.create_task(server.segment(other, Ticket(project="demo", lane=Lane.LIVE)))
    assert await server.begun() == (3, 0)
    server.nets.passes.clear()
    return task


async def test_a_superseded_ask_causes_no_forward_pass() -> None:
    async with a_server() as server:
        await warm(server)
        other = await hold_the_device(server)
        for number in range(5):
            await server.ask(f"a{number}", number)
            await asyncio.sleep(0)
        server.nets.hold = False
        server.nets.go.release()
        ends = {end.id: end for end in [await server.end() for _ in range(5)]}
        assert isinstance(ends.pop("a4"), Answered)
        assert ends == {f"a{number}": Dropped(f"a{number}", "superseded") for number in range(4)}
        assert server.segmented == [(0, 4)]
        await other


async def test_a_cancelled_ask_causes_no_forward_pass() -> None:
    async with a_server() as server:
        await warm(server)
        other = await hold_the_device(server)
        await server.ask("first", 1)
        await asyncio.sleep(0.01)  # it waits for the device by now
        await server.session.cancel("first")
        await server.ask("second", 2, keep=True)
        await server.ask("third", 3, keep=True)
        await server.session.cancel("second")
        ends = {await server.end(), await server.end()}
        assert ends == {Dropped("first", "cancelled"), Dropped("second", "cancelled")}
        server.nets.hold = False
        server.nets.go.release()
        assert isinstance(await server.end(), Answered)
        assert server.segmented == [(0, 3)]
        await server.session.cancel("nobody")
        await other


async def test_an_expired_ask_causes_no_forward_pass() -> None:
    async with a_server() as server:
        await warm(server)
        other = await hold_the_device(server)
        await server.ask("late", 1, until=time.monotonic() + 0.01, keep=True)
        await server.ask("later", 2, until=time.monotonic() + 0.02, keep=True)
        await asyncio.sleep(0.03)
        server.nets.hold = False
        server.nets.go.release()
        ends = {await server.end(), await server.end()}
        assert ends == {Dropped("late", "expired"), Dropped("later", "expired")}
        assert server.segmented == []
        await other


async def test_a_pass_that_is_on_the_device_ends_and_is_answered_and_no_further_one_begins() -> None:
    async with a_server(rounds=2) as server:
        await warm(server)
        server.nets.hold = True
        await server.ask("old", 1)
        await server.begun()
        await server.ask("new", 2)
        server.nets.hold = False
        server.nets.go.release()
        assert (await server.end()) == Dropped("old", "superseded", passes=1)
        assert isinstance(await server.end(), Answered)
        assert server.segmented == [(0, 1), (0, 2), (0, 2)]
    async with a_server(rounds=1) as server:
        await warm(server)
        server.nets.hold = True
        await server.ask("old", 1)
        await server.begun()
        await server.ask("new", 2)
        server.nets.hold = False
        server.nets.go.release()
        assert [type(await server.end()) for _ in range(2)] == [Answered, Answered]  # a fast reader sees something


async def test_a_reader_who_scrolls_on_does_not_begin_the_search_for_the_heart_anew() -> None:
    async with a_server() as server:
        server.nets.hold = True
        for number in range(4):
            await server.ask(f"a{number}", number)
            await asyncio.sleep(0.005)
        server.nets.hold = False
        server.nets.go.release()
        while not isinstance(await server.end(), Answered):
            pass
        assert [stage for stage, *_ in server.nets.passes].count("locate") == 1


async def test_a_search_that_nobody_waits_for_ends() -> None:
    async with a_server() as server:
        other = asyncio.create_task(server.ask("a", 1, series="2.2"))
        server.nets.hold = True
        await server.begun("locate")
        await server.session.cancel("a")
        assert isinstance(await server.end(), Dropped)
        await asyncio.sleep(0.1)
        await server.ask("b", 1, series="2.2")
        server.nets.hold = False
        server.nets.go.release()
        assert isinstance(await server.end(), Answered)
        assert [stage for stage, *_ in server.nets.passes].count("locate") == 2
        await other


async def test_neighbours_ahead_of_a_reader_are_there_without_a_pass() -> None:
    async with a_server(ahead=2) as server:
        await warm(server)
        await server.ask("one", 2, ahead=True)
        assert isinstance(await server.end(), Answered)
        assert {await server.begun() for _ in range(4)} == {(0, 2), (0, 3), (0, 1), (1, 2)}
        await server.ask("two", 3, ahead=True)
        answer = await server.end()
        assert isinstance(answer, Answered)
        assert answer.answer.known
        assert np.array_equal(answer.answer.segmented.report.slices, (3,))
        assert [await server.begun(), await server.begun()] == [(0, 4), (0, 5)]


async def test_what_lies_ahead_is_not_wanted_after_the_reader_turned() -> None:
    async with a_server(ahead=4) as server:
        await warm(server)
        await server.ask("one", 2)
        await server.end()
        await server.ask("two", 3, ahead=True)
        server.nets.hold = False
        await server.end()
        while (await server.begun()) != (0, 4):
            pass
        server.nets.hold = True
        assert (await server.begun()) == (0, 5)  # ahead, held on the device
        await server.ask("back", 2)
        server.nets.hold = False
        server.nets.go.release()
        answer = await server.end()
        assert isinstance(answer, Answered)
        assert answer.answer.known
        assert (0, 6) not in server.segmented


async def test_the_slice_that_is_being_computed_ahead_is_not_computed_twice() -> None:
    async with a_server(ahead=1) as server:
        await warm(server)
        await server.ask("one", 2)
        await server.end()
        await server.begun()
        server.nets.hold = True
        await server.ask("two", 3, ahead=True)
        await server.begun()
        server.nets.go.release()
        await server.end()
        assert (await server.begun()) == (0, 4)
        await server.ask("three", 4)
        server.nets.go.release()
        assert isinstance(await server.end(), Answered)
        assert server.segmented.count((0, 4)) == 1


async def test_a_whole_series_comes_frame_by_frame_with_slices_between() -> None:
    async with a_server() as server:
        await warm(server)
        server.nets.hold = True
        await server.ask("all", None, frame=None)
        await server.begun()
        await server.ask("now", 5, frame=1)
        for _ in range(FRAMES + 1):
            server.nets.go.release()
        heard = []
        async with asyncio.timeout(5):
            while len(heard) < FRAMES + 2:
                heard.append(await server.heard.get())
        parts = [event for event in heard if isinstance(event, Partly)]
        assert [(part.done, part.total) for part in parts] == [(n + 1, FRAMES) for n in range(FRAMES)]
        assert parts[0].eta_s >= 0
        assert parts[-1].eta_s == 0
        assert parts[0].answer.segmented.labels.shape == (1, SLICES, 8, 8)
        assert heard[-1] == Answered("all", parts[-1].answer, whole=True)
        order = [event.id for event in heard]
        assert order.index("now") < 3


async def test_a_cancelled_series_ends_between_frames() -> None:
    async with a_server() as server:
        await warm(server)
        server.nets.hold = True
        await server.ask("all", None, frame=None)
        await server.begun()
        await server.session.cancel("all")
        server.nets.hold = False
        server.nets.go.release()
        end = await server.end()
        assert isinstance(end, Dropped)
        assert (end.id, end.reason) == ("all", "cancelled")
        await asyncio.sleep(0)
        assert len(server.segmented) == 1


async def fall_behind(server: Server, events: int) -> None:
    """A reader who does not read has so many events to hear already."""
    for number in range(events):
        await server.session.refuse(f"before{number}", IrpError())


async def ends_of(server: Server, id: str) -> list[Event]:
    """The reader reads again, until the session ends."""
    server.session.finish()
    server.reads.set()
    async with asyncio.timeout(5):
        await server.listening
    heard = [server.heard.get_nowait() for _ in range(server.heard.qsize())]
    return [event for event in heard if event.id == id and not isinstance(event, Partly)]


async def test_a_series_that_is_taken_back_while_its_end_waits_for_a_slow_reader_has_that_end() -> None:
    async with a_server(reads=False) as server:
        await fall_behind(server, EVENTS_LIMIT - FRAMES)
        await server.ask("all", None, frame=None)
        async with asyncio.timeout(5):
            while not server.session._events.full():  # with its last part
                await asyncio.sleep(0)
        await server.session.cancel("all")
        await server.session.leave()
        assert [type(end) for end in await ends_of(server, "all")] == [Answered]


async def test_a_server_that_leaves_does_not_take_the_end_of_what_was_cancelled() -> None:
    async with a_server(reads=False) as server:
        await fall_behind(server, EVENTS_LIMIT)
        server.nets.hold = True
        await server.ask("all", None, frame=None)
        await server.begun("locate")
        await server.session.cancel("all")
        for _ in range(10):  # it is told of it, and waits for the reader
            await asyncio.sleep(0)
        await server.session.leave()
        assert await ends_of(server, "all") == [Dropped("all", "cancelled")]


async def test_a_deadline_that_is_named_counts_for_whole_series_too_and_the_default_for_slices_only() -> None:
    async with a_server() as server:
        door, late_s = LiveServicer(server.segment, limit=4, ahead=0, deadline_s=0.01), 0.03
        server.nets.hold = True

        async def requests() -> AsyncIterator[pb.LiveRequest]:
            act_as(Caller(subject="reader", project="demo"))
            asked = SegmentRequest(project=PROJECT, series_uid="1.2", model="heart")
            yield pb.LiveRequest(ask=pb.Ask(id="named", request=asked, deadline_s=0.01))
            yield pb.LiveRequest(ask=pb.Ask(id="unnamed", request=asked))
            asked = SegmentRequest(project=PROJECT, series_uid="1.2", model="heart", slices=[1], frames=[0])
            yield pb.LiveRequest(ask=pb.Ask(id="slice", request=asked))
            await asyncio.sleep(late_s)
            server.nets.hold = False
            server.nets.go.release()

        act_as(Caller(subject="reader", project="demo"))
        async with asyncio.timeout(5):
            heard = [response async for response in door.Live(requests(), None)]
        ends = {said.id: said.dropped.reason or said.WhichOneof("what") for said in heard if not said.HasField("part")}
        assert ends == {"named": "expired", "unnamed": "answer", "slice": "expired"}


async def test_a_problem_ends_its_ask_and_the_session_goes_on() -> None:
    async with a_server(limit=1) as server:
        await server.ask("no", 1, series="9.9")
        refused = await server.end()
        assert isinstance(refused, Refused)
        assert refused.error.reason == "SERIES_UNKNOWN"
        await server.ask("yes", 1)
        assert isinstance(await server.end(), Answered)


async def test_a_server_that_leaves_answers_what_has_begun_and_refuses_the_rest() -> None:
    async with a_server() as server:
        await warm(server)
        server.nets.hold = True
        await server.ask("begun", 1, keep=True)
        await server.begun()
        await server.ask("waits", 2, keep=True)
        await server.session.leave()
        await server.ask("late", 3)
        server.nets.go.release()
        ends = {end.id: end for end in [await server.end() for _ in range(3)]}
        assert isinstance(ends["begun"], Answered)
        assert isinstance(ends["waits"], Refused)
        assert isinstance(ends["late"], Refused)
        assert ends["waits"].error.reason == "SERVER_LEAVES"


async def test_what_has_begun_is_answered_whatever_passes_it_still_needs() -> None:
    async with a_server(rounds=3) as server:
        await warm(server)
        await server.ask("begun", 1)
        await server.begun()
        server.stopping.set()
        await server.session.leave()
        for _ in range(3):
            server.nets.go.release()
        assert isinstance(await server.end(), Answered)
        assert server.segmented.count((0, 1)) == 3


async def test_an_open_stream_does_not_hold_up_a_room_that_leaves() -> None:
    async with a_server() as server:
        door = LiveServicer(server.segment, limit=4, ahead=0, deadline_s=2)
        stopping, nothing = asyncio.Event(), asyncio.Event()

        async def requests() -> AsyncIterator[pb.LiveRequest]:
            act_as(Caller(subject="reader", project="demo"))
            asked = SegmentRequest(project=PROJECT, series_uid="1.2", model="heart", slices=[1], frames=[0])
            yield pb.LiveRequest(ask=pb.Ask(id="a", request=asked))
            await nothing.wait()

        act_as(Caller(subject="reader", project="demo"))
        leaving = asyncio.create_task(door.leave(stopping))
        heard = []
        async with asyncio.timeout(5):
            async for response in door.Live(requests(), None):
                heard.append(response)
                stopping.set()
            await leaving
        assert [(said.id, said.WhichOneof("what")) for said in heard] == [("a", "answer")]


async def test_what_is_cancelled_in_the_middle_of_a_step_is_cancelled_and_nothing_else() -> None:
    begun, go = threading.Event(), threading.Event()

    def steps() -> Steps[int]:
        begun.set()
        go.wait(5)
        yield Forward("segment", np.zeros((1, 2), dtype=np.float32))
        return 1

    model: Any = None
    task = asyncio.create_task(Drive(DynamicBatches(1), Threads(1))(steps(), model, Ticket(project="demo")))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()


async def test_a_pass_that_nobody_waits_for_is_refused_once_the_room_leaves() -> None:
    batches, stopping = DynamicBatches(4), asyncio.Event()
    stopping.set()
    await batches.serve(stopping)
    nobody = Ticket(project="demo", lane=Lane.BACKGROUND)
    with pytest.raises(ServerLeaves):
        await batches.forward(None, "segment", np.zeros(1, dtype=np.float32), nobody)  # type: ignore[arg-type]


def test_kept_asks_wait_newest_first_up_to_a_bound() -> None:
    queue = LiveQueue(2)
    assert queue.add(Asked(id="a", what=1, keep=True)) == []
    assert queue.add(Asked(id="b", what=2)) == []
    assert [stale.id for stale in queue.add(Asked(id="c", what=3, keep=True))] == ["b"]
    with pytest.raises(AskIdTaken):
        queue.add(Asked(id="a", what=4))
    with pytest.raises(AskIdTaken):
        queue.add(Asked(id="r", what=4), running=["r"])
    with pytest.raises(TooManyAsks):
        queue.add(Asked(id="d", what=4))
    assert [asked.id for asked in (queue.take(), queue.take()) if asked] == ["c", "a"]
    assert queue.take() is None


def test_the_way_is_that_of_the_last_two_places() -> None:
    a, b = Place("s", 0, 3), Place("s", 0, 4)
    assert heading(None, a, Heading()) == Heading()
    assert heading(a, b, Heading()) == Heading(0, 1)
    assert heading(b, b, Heading(0, 1)) == Heading(0, 1)
    assert heading(b, Place("t", 0, 4), Heading(0, 1)) == Heading()
    assert ahead_of(b, Heading(0, 1), 4, 6, 3) == [Place("s", 0, 5)]
    assert ahead_of(Place("s", 3, 4), Heading(1, 0), 4, 6, 2) == [Place("s", 0, 4), Place("s", 1, 4)]
    assert ahead_of(Place("s", 0, 0), Heading(), 1, 1, 3) == []
