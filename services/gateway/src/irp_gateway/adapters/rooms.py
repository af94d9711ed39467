"""The gateway's lines to the rooms: one client and stub per room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from irp.annotation.v1 import annotation_service_pb2, annotation_service_pb2_grpc
from irp.common.v1 import operations_service_pb2_grpc
from irp.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from irp.ingest.v1 import ingest_service_pb2, ingest_service_pb2_grpc
from irp.quality.v1 import quality_service_pb2, quality_service_pb2_grpc
from irp.radiomics.v1 import radiomics_service_pb2, radiomics_service_pb2_grpc
from irp.training.v1 import training_service_pb2, training_service_pb2_grpc
from irp_chassis.auth import TokenMinter
from irp_chassis.rpc import RpcClient

STUBS: dict[str, tuple[Any, Any]] = {
    "ingest": (ingest_service_pb2, ingest_service_pb2_grpc.IngestServiceStub),
    "quality": (quality_service_pb2, quality_service_pb2_grpc.QualityServiceStub),
    "annotation": (annotation_service_pb2, annotation_service_pb2_grpc.AnnotationServiceStub),
    "inference": (inference_service_pb2, inference_service_pb2_grpc.InferenceServiceStub),
    "training": (training_service_pb2, training_service_pb2_grpc.TrainingServiceStub),
    "radiomics": (radiomics_service_pb2, radiomics_service_pb2_grpc.RadiomicsServiceStub),
}


@dataclass(frozen=True, slots=True)
class Line:
    """One room: its client, its stub, and the stub of what every room answers."""

    client: RpcClient
    stub: Any
    operations: Any

    async def ask(self, method: str, request: Any, *, timeout_s: float = 60) -> Any:
        """Call a method of the room's service; RemoteError if it refuses."""
        return await self.client.call(getattr(self.stub, method), request, timeout_s=timeout_s)


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
    client = RpcClient(address, minter, files=[messages.DESCRIPTOR])
    operations = operations_service_pb2_grpc.OperationsServiceStub(client.channel)
    return Line(client, stub(client.channel), operations)
