"""Calls of Triton's client that mean something only inside one machine, or that settings answer: refused in words."""

from __future__ import annotations

from typing import Any

from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc
from irp_kernel.errors import Unimplemented

NO_SHARED_MEMORY = "shared memory is not offered: send raw_input_contents"
NO_SETTINGS = "traces and logs are set when the room starts (IRP_TRACE_FILE, IRP_OTLP_ENDPOINT, IRP_LOG_LEVEL)"


class NotOffered(pb_grpc.GRPCInferenceServiceServicer):
    """Shared memory: nothing is registered, so its status is empty and to unregister is done. Settings: read only."""

    async def SystemSharedMemoryStatus(self, request: Any, context: Any) -> pb.SystemSharedMemoryStatusResponse:  # noqa: N802
        """Empty."""
        return pb.SystemSharedMemoryStatusResponse()

    async def SystemSharedMemoryRegister(self, request: Any, context: Any) -> pb.SystemSharedMemoryRegisterResponse:  # noqa: N802
        """Refused."""
        raise Unimplemented(NO_SHARED_MEMORY)

    async def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> pb.SystemSharedMemoryUnregisterResponse:  # noqa: N802
        """Done: there is none."""
        return pb.SystemSharedMemoryUnregisterResponse()

    async def CudaSharedMemoryStatus(self, request: Any, context: Any) -> pb.CudaSharedMemoryStatusResponse:  # noqa: N802
        """Empty."""
        return pb.CudaSharedMemoryStatusResponse()

    async def CudaSharedMemoryRegister(self, request: Any, context: Any) -> pb.CudaSharedMemoryRegisterResponse:  # noqa: N802
        """Refused."""
        raise Unimplemented(NO_SHARED_MEMORY)

    async def CudaSharedMemoryUnregister(self, request: Any, context: Any) -> pb.CudaSharedMemoryUnregisterResponse:  # noqa: N802
        """Done: there is none."""
        return pb.CudaSharedMemoryUnregisterResponse()

    async def TraceSetting(self, request: pb.TraceSettingRequest, context: Any) -> pb.TraceSettingResponse:  # noqa: N802
        """Empty; changes are refused."""
        if request.settings:
            raise Unimplemented(NO_SETTINGS)
        return pb.TraceSettingResponse()

    async def LogSettings(self, request: pb.LogSettingsRequest, context: Any) -> pb.LogSettingsResponse:  # noqa: N802
        """Empty; changes are refused."""
        if request.settings:
            raise Unimplemented(NO_SETTINGS)
        return pb.LogSettingsResponse()
