"""The gateway's lines to the rooms: one client and stub per room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from irp.annotation.v1 import annotation_service_pb2, annotation_service_pb2_grpc
from irp.common.v1 import operations_service_pb2, operations_service_pb2_grpc
from irp.inference.v1 import (
    inference_service_pb2,
    inference_service_pb2_grpc,
    live_service_pb2_grpc,
    serving_service_pb2_grpc,
)
from irp.ingest.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from irp.quality.v1 import quality_service_pb2, quality_service_pb2_grpc
from irp.radiomics.v1 import radiomics_service_pb2, radiomics_service_pb2_grpc
from irp.training.v1 import (
    challenge_service_pb2_grpc,
    container_service_pb2_grpc,
    training_service_pb2,
    training_service_pb2_grpc,
)
from irp_chassis.auth import TokenMinter
from irp_chassis.rpc import RpcClient
from irp_chassis.verdicts import RemoteError
from irp_kernel.errors import Code, Unavailable
from prometheus_client import Counter

from irp_gateway.adapters.replicas import Replicas
from irp_gateway.domain.errors import RoomAway

STUBS: dict[str, tuple[Any, Any]] = {
    "ingest": (ingest_service_pb2, ingest_service_pb2_grpc.IngestServiceStub),
    "quality": (quality_service_pb2, quality_service_pb2_grpc.QualityServiceStub),
    "annotation": (annotation_service_pb2, annotation_service_pb2_grpc.AnnotationServiceStub),
    "inference": (inference_service_pb2, inference_service_pb2_grpc.InferenceServiceStub),
    "training": (training_service_pb2, training_service_pb2_grpc.TrainingServiceStub),
    "radiomics": (radiomics_service_pb2, radiomics_service_pb2_grpc.RadiomicsServiceStub),
}

BESIDE: dict[str, tuple[Any, ...]] = {
    "inference": (
        live_service_pb2_grpc.LiveServiceStub,
        serving_service_pb2_grpc.ServingServiceStub,
    ),
    "training": (
        container_service_pb2_grpc.ContainerServiceStub,
        challenge_service_pb2_grpc.ChallengeServiceStub,
    ),
}
"""Further services of a room."""


SPREAD = ("inference",)
"""Rooms whose replicas remember what they computed of a series: its asks go to one of them."""

SERIES_ASKS = Counter("irp_gateway_series_asks_total", "Asks of a series, by the replica that they were put to", ["to"])


@dataclass(frozen=True, slots=True)
class Line:
    """One room.

    Attributes:
        room: its name.
        address: where it is; names the line among those to the room's replicas.
        client, stub: of its service.
        beside: stubs of its further services.
        operations: stub of what every room answers.
        replicas: lines to each replica; None = this is one of those, or the room's replicas are all alike.
    """

    room: str
    address: str
    client: RpcClient
    stub: Any
    beside: tuple[Any, ...]
    operations: Any
    replicas: Replicas[Line] | None = None

    def near(self, series: str) -> list[Line]:
        """Lines to the replica that a series belongs to, and the next; none where all are alike, or there is one."""
        return self.replicas.near(series) if self.replicas and series else []

    async def ask(self, method: str, request: Any, *, timeout_s: float = 60, series: str = "") -> Any:
        """Call a method of the room's service.

        Args:
            method: its name.
            request: its message.
            timeout_s: for all tries together.
            series: what the answer is remembered by. The method must have no effects: if the replica of the series is
                away or full, the next is asked, and then whichever answers.

        Raises:
            RoomAway: the room does not answer.
            RemoteError: it refuses.
        """
        until = time.monotonic() + timeout_s
        refused: RemoteError | Unavailable | None = None
        for place, line in zip(("first", "next"), self.near(series), strict=False):
            SERIES_ASKS.labels(place).inc()
            try:
                return await line._call(method, request, until)
            except (RemoteError, Unavailable) as error:
                if not _may_go_elsewhere(error):
                    raise
                refused = error
        if refused is not None and not _is_lost(refused):
            raise refused
        if series:
            SERIES_ASKS.labels("any").inc()
        try:
            return await self._call(method, request, until)
        except (RemoteError, Unavailable) as error:
            raise self._told(error) from None

    async def _call(self, method: str, request: Any, until: float) -> Any:
        return await self.client.call(self._method(method), request, timeout_s=until - time.monotonic())

    async def stream(self, method: str, request: Any, *, timeout_s: float | None) -> AsyncIterator[Any]:
        """Call a method that answers a stream; raises as `ask`. None = it may take for ever."""
        try:
            async for answer in self.client.stream(self._method(method), request, timeout_s=timeout_s):
                yield answer
        except RemoteError as error:
            raise self._told(error) from None

    def _method(self, name: str) -> Any:
        stubs = (self.stub, *self.beside, self.operations)
        return next(getattr(stub, name) for stub in stubs if hasattr(stub, name))

    def _told(self, error: RemoteError | Unavailable) -> RemoteError | Unavailable:
        """GRPC's own "unavailable" names no room; ours does."""
        return RoomAway(f"{self.room} does not answer", room=self.room) if _is_lost(error) else error


class Rooms:
    """Lines to every room."""

    def __init__(self, addresses: dict[str, str], minter: TokenMinter) -> None:
        self._lines = {room: _line(room, address, minter) for room, address in addresses.items()}

    def __getitem__(self, room: str) -> Line:
        return self._lines[room]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    async def follow(self, stopping: asyncio.Event) -> None:
        """Look where replicas are, until told to stop."""
        await asyncio.gather(*(replicas.follow(stopping) for replicas in self._replicas()))

    async def close(self) -> None:
        """Hang up."""
        for replicas in self._replicas():
            await replicas.close()
        for line in self._lines.values():
            await line.client.close()

    def _replicas(self) -> list[Replicas[Line]]:
        return [line.replicas for line in self._lines.values() if line.replicas is not None]


def _line(room: str, address: str, minter: TokenMinter) -> Line:
    messages, _ = STUBS[room]
    client = RpcClient(address, minter, files=[messages.DESCRIPTOR, operations_service_pb2.DESCRIPTOR])
    # Not tried again on the same line: the next replica is asked instead.
    each = (lambda one: _through(RpcClient(one, minter, health=True), room, one)) if room in SPREAD else None
    return _through(client, room, address, Replicas(address, each) if each else None)


def _through(client: RpcClient, room: str, address: str, replicas: Replicas[Line] | None = None) -> Line:
    operations = operations_service_pb2_grpc.OperationsServiceStub(client.channel)
    beside = tuple(more(client.channel) for more in BESIDE.get(room, ()))
    return Line(room, address, client, STUBS[room][1](client.channel), beside, operations, replicas)


def series_key(request: inference_service_pb2.SegmentRequest) -> str:
    """What decides the replica: the project and the series.

    Not the model: the volume is the largest of all that is remembered, and models and methods share it.
    """
    return f"{request.project.id}/{request.series_uid}"


def _may_go_elsewhere(error: RemoteError | Unavailable) -> bool:
    """Whether another replica may do better: this one is away, leaves, or is full for a while."""
    return error.code in (Code.UNAVAILABLE, Code.RESOURCE_EXHAUSTED) and error.retry_after_s is not None


def _is_lost(error: RemoteError | Unavailable) -> bool:
    """GRPC's own "unavailable": nobody answered at all."""
    return error.code is Code.UNAVAILABLE and error.reason == Code.UNAVAILABLE.value
