"""Two doors of a classification server that remember what they were asked, and a gateway's lines to them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irp.inference.v1 import inference_service_pb2 as pb
from irp.inference.v1 import inference_service_pb2_grpc, live_service_pb2_grpc
from irp.inference.v1 import live_service_pb2 as live_pb
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.rpc_server import RpcServer
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
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
class Pair:
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
async def two_replicas(key_files: tuple[Path, Path], minter: TokenMinter) -> AsyncIterator[Pair]:
    act_as(Caller(subject="reader", project="demo"))
    settings = ServiceSettings(auth_public_key_file=key_files[1])
    replicas = {f"127.0.0.1:{one.port}": one for one in (Replica(settings), Replica(settings))}
    for one in replicas.values():
        await one.start()
    rooms, stopping = Rooms({"inference": f"ipv4:{','.join(replicas)}"}, minter), asyncio.Event()
    following = asyncio.create_task(rooms.follow(stopping))
    pair = Pair(replicas, rooms["inference"])
    try:
        await pair.both_are_there()
        yield pair
    finally:
        stopping.set()
        await following
        await rooms.close()
        for one in replicas.values():
            await one.die()
