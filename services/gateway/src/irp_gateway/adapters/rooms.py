"""The gateway's lines to the rooms: one client and stub per room."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Line:
    """One room: its name, its client, its stub, those of its further services, and of what every room answers."""

    room: str
    client: RpcClient
    stub: Any
    beside: tuple[Any, ...]
    operations: Any

    async def ask(self, method: str, request: Any, *, timeout_s: float = 60) -> Any:
        """Call a method of the room's service.

        Raises:
            RoomAway: the room does not answer.
            RemoteError: it refuses.
        """
        try:
            return await self.client.call(self._method(method), request, timeout_s=timeout_s)
        except (RemoteError, Unavailable) as error:
            raise self._told(error) from None

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
        away = error.code is Code.UNAVAILABLE and error.reason == Code.UNAVAILABLE.value
        return RoomAway(f"{self.room} does not answer", room=self.room) if away else error


class Rooms:
    """Lines to every room."""

    def __init__(self, addresses: dict[str, str], minter: TokenMinter) -> None:
        self._lines = {room: _line(room, address, minter) for room, address in addresses.items()}

    def __getitem__(self, room: str) -> Line:
        return self._lines[room]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    async def close(self) -> None:
        """Hang up."""
        for line in self._lines.values():
            await line.client.close()


def _line(room: str, address: str, minter: TokenMinter) -> Line:
    messages, stub = STUBS[room]
    client = RpcClient(address, minter, files=[messages.DESCRIPTOR, operations_service_pb2.DESCRIPTOR])
    operations = operations_service_pb2_grpc.OperationsServiceStub(client.channel)
    beside = tuple(more(client.channel) for more in BESIDE.get(room, ()))
    return Line(room, client, stub(client.channel), beside, operations)
