"""A classification server's operators' door that remembers what it was told."""

from __future__ import annotations

from typing import Any

from irp.common.v1 import types_pb2
from irp.inference.v1 import serving_service_pb2 as pb
from irp.inference.v1 import serving_service_pb2_grpc as pb_grpc
from irp_chassis.auth import caller
from irp_kernel.errors import ModelUnknown


class FakeServing(pb_grpc.ServingServiceServicer):
    """Version 3 of cine is the champion."""

    def __init__(self) -> None:
        self.serving, self.revision, self.actor = pb.Serving(), 0, ""

    async def ConfigureServing(self, request: Any, context: Any) -> pb.ConfigureServingResponse:
        caller().require_role("admin")
        self.serving, self.actor, self.revision = request.serving, request.actor, self.revision + 1
        return pb.ConfigureServingResponse(revision=self.revision)

    async def GetServing(self, request: Any, context: Any) -> pb.GetServingResponse:
        if request.name != "cine":
            raise ModelUnknown(request.name)
        structure = pb.StructureComparison(structure="lv_blood_pool", answers=2, mean_dice=0.91234, least_dice=0.9)
        compared = pb.Comparison(served=3, shadow=4, answers=2, failures=1, structures=[structure])
        return pb.GetServingResponse(
            serving=self.serving, revision=self.revision, champion=3, answers={3: 7}, comparisons=[compared]
        )

    async def LoadModel(self, request: Any, context: Any) -> pb.LoadModelResponse:
        caller().require_role("admin")
        return pb.LoadModelResponse(status=self._status(request.version, "kept"))

    async def UnloadModel(self, request: Any, context: Any) -> pb.UnloadModelResponse:
        caller().require_role("admin")
        return pb.UnloadModelResponse()

    async def ListVersions(self, request: Any, context: Any) -> pb.ListVersionsResponse:
        failed = pb.VersionStatus(
            model=types_pb2.ModelRef(name="cine", version=4), state="failed", reason="ENGINE_DISAGREES"
        )
        return pb.ListVersionsResponse(versions=[self._status(3, "champion"), failed])

    @staticmethod
    def _status(version: int, role: str) -> pb.VersionStatus:
        return pb.VersionStatus(
            model=types_pb2.ModelRef(name="cine", version=version, digest="a" * 64),
            state="ready",
            role=role,
            engine="openvino",
            device="cpu",
            precision="float32",
            memory_bytes=200 << 20,
            users=1,
        )
