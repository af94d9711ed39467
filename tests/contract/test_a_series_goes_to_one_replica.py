"""What you learn here: all asks of a series reach the replica that knows it; where it is gone or full, the next."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from irp.inference.v1 import inference_service_pb2 as pb
from irp.inference.v1 import inference_service_pb2_grpc, live_service_pb2_grpc
from irp.inference.v1 import live_service_pb2 as live_pb
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.rpc_server import RpcServer
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
from irp_gateway.adapters import replicas as replicas_module
from irp_gateway.adapters.live_frames import SegmentFrame
from irp_gateway.adapters.live_line import LiveLine
from irp_gateway.adapters.replicas import addresses_of
from irp_gateway.adapters.rooms import Line, Rooms, series_key
from irp_inference.domain.errors import InferenceQueueFull
from irp_kernel.errors import NotFound

from .fake_inference import segmented

SERIES = [f"1.2.{number}" for number in range(12)]


@dataclass(eq=False)
class Replica(inference_service_pb2_grpc.InferenceServiceServicer, live_service_pb2_grpc.LiveServiceServicer):
    """A door that remembers which series it was asked for; `silent` = it never answers on the live door."""

    settings: ServiceSettings
    port: int = field(default_factory=free_port)
    asked: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    full: bool = False
    silent: bool = False
    server: RpcServer | None = None

    async def start(self) -> None:
        self.server = RpcServer(self.settings, bind=f"127.0.0.1:{self.port}")
        self.server.add(inference_service_pb2_grpc.add_InferenceServiceServicer_to_server, self)
        self.server.add(live_service_pb2_grpc.add_LiveServiceServicer_to_server, self)
        await self.server.start()

    async def die(self) -> None:
        assert self.server
        await self.server.stop(0)

    async def Segment(self, request: pb.SegmentRequest, context: Any) -> pb.SegmentResponse:
        self.asked.append(request.series_uid)
        if self.full:
            raise InferenceQueueFull
        if request.model == "liver":
            raise NotFound
        return pb.SegmentResponse()

    async def Live(self, requests: Any, context: Any) -> AsyncIterator[live_pb.LiveResponse]:
        async for request in requests:
            if request.WhichOneof("what") == "cancel":
                self.cancelled.append(request.cancel.id)
                yield live_pb.LiveResponse(id=request.cancel.id, dropped=live_pb.Dropped(reason="cancelled"))
                continue
            self.asked.append(request.ask.request.series_uid)
            self.heard.set()
            if self.full:
                said = live_pb.Problem(code="RESOURCE_EXHAUSTED", reason="INFERENCE_QUEUE_FULL", retry_after_s=2)
                yield live_pb.LiveResponse(id=request.ask.id, problem=said)
            elif not self.silent:
                answer = live_pb.Answer(segmentation=segmented([0], [0], {}))
                yield live_pb.LiveResponse(id=request.ask.id, answer=answer)


@dataclass
class House:
    """Two replicas and a gateway's lines to them."""

    replicas: dict[str, Replica]
    line: Line

    def owner(self, series: str) -> Replica:
        return self.replicas[self.line.near(series_key(a_request(series)))[0].address]

    def other(self, series: str) -> Replica:
        return next(one for one in self.replicas.values() if one is not self.owner(series))

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not true():
                await asyncio.sleep(0.02)

    async def both_are_there(self) -> None:
        await self.until(lambda: len(self.line.near("any")) == 2)

    async def ask(self, series: str, model: str = "cine") -> None:
        request = a_request(series, model)
        await self.line.ask("Segment", request, timeout_s=10, series=series_key(request))


def a_request(series: str, model: str = "cine") -> pb.SegmentRequest:
    request = pb.SegmentRequest(series_uid=series, model=model, slices=[0], frames=[0])
    request.project.id = "demo"
    return request


@asynccontextmanager
async def a_house(key_files: tuple[Path, Path], minter: TokenMinter) -> AsyncIterator[House]:
    act_as(Caller(subject="reader", project="demo"))
    settings = ServiceSettings(auth_public_key_file=key_files[1])
    replicas = {f"127.0.0.1:{one.port}": one for one in (Replica(settings), Replica(settings))}
    for one in replicas.values():
        await one.start()
    rooms, stopping = Rooms({"inference": f"ipv4:{','.join(replicas)}"}, minter), asyncio.Event()
    following = asyncio.create_task(rooms.follow(stopping))
    house = House(replicas, rooms["inference"])
    try:
        await house.both_are_there()
        yield house
    finally:
        stopping.set()
        await following
        await rooms.close()
        for one in replicas.values():
            await one.die()


@pytest.fixture
async def house(key_files: tuple[Path, Path], minter: TokenMinter) -> AsyncIterator[House]:
    async with a_house(key_files, minter) as found:
        yield found


async def test_all_asks_of_a_series_reach_one_replica_and_series_are_shared_out(house: House) -> None:
    for model in ("cine", "click"):
        for series in SERIES:
            await house.ask(series, model)
    asked = [one.asked for one in house.replicas.values()]
    assert not set(asked[0]) & set(asked[1])
    assert set(asked[0]) | set(asked[1]) == set(SERIES)
    assert all(asked)


async def test_a_replica_that_is_killed_costs_no_request_and_gets_its_series_back(house: House) -> None:
    gone, stays = house.owner(SERIES[0]), house.other(SERIES[0])
    mine = [series for series in SERIES if house.owner(series) is gone]
    asking = [asyncio.create_task(house.ask(series)) for series in SERIES * 3]
    await asyncio.sleep(0)
    await gone.die()
    await asyncio.gather(*asking)  # none failed
    await asyncio.gather(*map(house.ask, SERIES))
    assert set(mine) <= set(stays.asked)
    await gone.start()
    await house.both_are_there()
    gone.asked.clear()
    await asyncio.gather(*map(house.ask, SERIES))
    assert sorted(gone.asked) == sorted(mine)


async def test_a_replica_that_says_it_does_not_serve_is_left_alone(house: House) -> None:
    leaving = house.owner(SERIES[0])
    assert leaving.server
    await leaving.server.set_serving(False)
    await house.until(lambda: len(house.line.near("any")) == 1)
    await house.ask(SERIES[0])
    assert leaving.asked == []
    await leaving.server.set_serving(True)
    await house.both_are_there()


async def test_a_full_replica_gives_to_the_next_and_if_all_are_full_the_caller_hears_it(house: House) -> None:
    house.owner(SERIES[0]).full = True
    await house.ask(SERIES[0])
    assert house.other(SERIES[0]).asked == [SERIES[0]]
    house.other(SERIES[0]).full = True
    with pytest.raises(Exception, match="More requests wait") as found:
        await house.ask(SERIES[0])
    assert getattr(found.value, "reason", "") == "INFERENCE_QUEUE_FULL"


async def test_what_is_wrong_with_a_request_is_not_asked_twice(house: House) -> None:
    with pytest.raises(Exception, match=r".") as found:
        await house.ask(SERIES[0], "liver")
    assert getattr(found.value, "reason", "") == "NOT_FOUND"
    assert house.other(SERIES[0]).asked == []


class Reader:
    """A live session."""

    def __init__(self, house: House) -> None:
        self.line = LiveLine(house.line)

    def ask(self, id: str, series: str, **more: Any) -> None:
        said = {"type": "segment", "id": id, "series": series, "model": "cine", "slice": 0, **more}
        frame = SegmentFrame.model_validate(said)
        request = frame.to_proto(a_request(series).project)
        self.line.ask(frame, request)

    async def hear(self) -> tuple[str, str, str]:
        async with asyncio.timeout(10):
            header, _ = await self.line.said.get()
        return header["id"], header["type"], header.get("reason", "")


@pytest.fixture
async def reader(house: House) -> AsyncIterator[Reader]:
    found = Reader(house)
    yield found
    await found.line.close()


def two_series(house: House) -> tuple[str, str]:
    """Of different replicas."""
    return SERIES[0], next(series for series in SERIES if house.owner(series) is house.other(SERIES[0]))


async def test_a_session_that_looks_at_two_series_speaks_with_the_replicas_of_both(
    house: House, reader: Reader
) -> None:
    one, other = two_series(house)
    for name, series in (("a", one), ("b", other), ("c", one)):
        reader.ask(name, series)
        assert await reader.hear() == (name, "answer", "")
    assert house.owner(one).asked == [one, one]
    assert house.owner(other).asked == [other]


async def test_an_ask_for_another_series_supersedes_what_its_neighbour_has_not_answered(
    house: House, reader: Reader
) -> None:
    one, other = two_series(house)
    house.owner(one).silent = True
    reader.ask("old", one)
    reader.ask("kept", one, keep=True)
    await house.owner(one).heard.wait()
    reader.ask("new", other)
    assert {await reader.hear(), await reader.hear()} == {("old", "dropped", "superseded"), ("new", "answer", "")}
    assert house.owner(one).cancelled == ["old"]
    assert list(reader.line.open) == ["kept"]


async def test_asks_under_way_on_a_killed_replica_are_answered_by_the_other(house: House, reader: Reader) -> None:
    gone, stays = house.owner(SERIES[0]), house.other(SERIES[0])
    gone.silent = True
    reader.ask("older", SERIES[0])
    reader.ask("kept", SERIES[0], keep=True)
    reader.ask("newest", SERIES[0])
    await house.until(lambda: len(gone.asked) == 3)
    await gone.die()
    heard = {await reader.hear() for _ in range(3)}
    assert heard == {("older", "dropped", "superseded"), ("kept", "answer", ""), ("newest", "answer", "")}
    assert stays.asked == [SERIES[0]] * 2


async def test_if_both_are_killed_the_ask_ends_with_a_problem_and_the_session_lives_on(
    house: House, reader: Reader
) -> None:
    for one in house.replicas.values():
        one.silent = True
    reader.ask("a", SERIES[0])
    await house.owner(SERIES[0]).heard.wait()
    owner = house.owner(SERIES[0])
    for one in house.replicas.values():
        await one.die()
    assert await reader.hear() == ("a", "problem", "ROOM_AWAY")
    owner.silent = False
    await owner.start()
    await house.until(lambda: bool(house.line.near("any")))
    reader.ask("a", SERIES[0])
    assert await reader.hear() == ("a", "answer", "")


async def test_a_full_replica_sends_a_reader_to_the_next(house: House, reader: Reader) -> None:
    house.owner(SERIES[0]).full = True
    reader.ask("a", SERIES[0])
    assert await reader.hear() == ("a", "answer", "")
    assert house.other(SERIES[0]).asked == [SERIES[0]]


async def test_replicas_that_leave_the_name_are_not_asked_and_one_alone_is_asked_as_ever(house: House) -> None:
    owner = house.owner(SERIES[0])
    replicas = house.line.replicas
    assert replicas
    await replicas.set(frozenset({f"127.0.0.1:{house.other(SERIES[0]).port}"}))
    assert house.line.near(series_key(a_request(SERIES[0]))) == []
    await house.ask(SERIES[0])
    await replicas.set(frozenset(house.replicas))
    await house.both_are_there()
    assert house.owner(SERIES[0]) is owner


async def test_a_replica_that_left_long_ago_is_hung_up_on_and_may_come_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas_module, "RETIRED_S", -1.0)
    replicas, left = house.line.replicas, house.owner(SERIES[0])
    assert replicas
    old = house.line.near(series_key(a_request(SERIES[0])))[0]
    await replicas.set(frozenset({f"127.0.0.1:{house.other(SERIES[0]).port}"}))
    assert old.client.channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN
    await replicas.set(frozenset(house.replicas))
    await house.both_are_there()
    await house.ask(SERIES[0])
    assert left.asked == [SERIES[0]]


async def test_a_whole_series_begins_anew_at_the_other_replica(house: House, reader: Reader) -> None:
    gone, stays = house.owner(SERIES[0]), house.other(SERIES[0])
    gone.silent = True
    reader.ask("all", SERIES[0], slice=None)
    await gone.heard.wait()
    reader.ask("now", SERIES[0])  # a slice, beside it
    await house.until(lambda: len(gone.asked) == 2)
    await gone.die()
    assert {await reader.hear(), await reader.hear()} == {("all", "answer", ""), ("now", "answer", "")}
    assert stays.asked == [SERIES[0]] * 2


async def test_names_lead_to_addresses_of_one_family() -> None:
    assert await addresses_of("dns:///127.0.0.1:9000") == {"127.0.0.1:9000"}
    assert await addresses_of("127.0.0.1:9000") == {"127.0.0.1:9000"}
    assert await addresses_of("ipv4:10.0.0.1:9000,10.0.0.2:9000") == {"10.0.0.1:9000", "10.0.0.2:9000"}
    assert len(await addresses_of("localhost:9000")) == 1
