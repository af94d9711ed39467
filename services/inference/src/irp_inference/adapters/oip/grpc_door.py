"""The protocol by gRPC, with Triton's additions on the same service and MLServer's repository service beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import structlog
from irp.oip import model_repository_pb2_grpc as repository_grpc
from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc
from irp_chassis.rpc_server import deadline
from irp_chassis.verdicts import answerable
from irp_kernel.errors import IrpError, Unimplemented

from irp_inference.adapters.oip.messages import (
    SHARED_MEMORY,
    answer_of,
    config_of,
    images_of,
    metadata_of,
    packed_answer_of,
    parameters_of,
    statistics_of,
    ticket,
)
from irp_inference.adapters.oip.nets import Array, Nets
from irp_inference.domain.errors import ServerLeaves

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
STREAM_AHEAD = 16  # requests of one stream that may be under way; their answers keep their order
EXTENSIONS = ("model_repository", "statistics", "model_configuration", "binary_tensor_data", "parameters")


def add_to_server(servicer: OpenInference, server: Any) -> None:
    """Add the service; the one call with large answers packs them itself."""
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)
    infer: Any = grpc.unary_unary_rpc_method_handler(servicer.packed, pb.ModelInferRequest.FromString)
    server.add_registered_method_handlers(SERVICE, {"ModelInfer": infer})


class Repository(repository_grpc.ModelRepositoryServiceServicer):
    """Which networks there are; loading and unloading."""

    def __init__(self, nets: Nets) -> None:
        self._nets = nets

    async def RepositoryIndex(self, request: pb.RepositoryIndexRequest, context: Any) -> pb.RepositoryIndexResponse:  # noqa: N802
        """Every network of every registered version."""
        entry = pb.RepositoryIndexResponse.ModelIndex
        found = await self._nets.index(request.ready)
        return pb.RepositoryIndexResponse(
            models=[entry(name=name, version=str(v), state=state, reason=reason) for name, v, state, reason in found]
        )

    async def RepositoryModelLoad(  # noqa: N802
        self, request: pb.RepositoryModelLoadRequest, context: Any
    ) -> pb.RepositoryModelLoadResponse:
        """Load the version that serves by default, and keep it."""
        await self._nets.load(request.model_name, request.parameters)
        return pb.RepositoryModelLoadResponse()

    async def RepositoryModelUnload(  # noqa: N802
        self, request: pb.RepositoryModelUnloadRequest, context: Any
    ) -> pb.RepositoryModelUnloadResponse:
        """Let go of every version."""
        await self._nets.unload(request.model_name)
        return pb.RepositoryModelUnloadResponse()


class OpenInference(Repository, pb_grpc.GRPCInferenceServiceServicer):
    """Serves tensors; pre- and post-processing are the caller's."""

    def __init__(self, nets: Nets, version: str) -> None:
        super().__init__(nets)
        self._version, self._leaves = version, False
        self._log = structlog.get_logger(door="open_inference")

    async def leave(self, stopping: asyncio.Event) -> None:
        """From then on open streams are answered that another server is to be asked; new calls find no server."""
        await stopping.wait()
        self._leaves = True

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:  # noqa: N802
        """True while it answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:  # noqa: N802
        """True once nothing is being loaded."""
        return pb.ServerReadyResponse(ready=await self._nets.server_ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:  # noqa: N802
        """True if it can answer at once."""
        return pb.ModelReadyResponse(ready=await self._nets.ready(request.name, request.version))

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Any) -> pb.ServerMetadataResponse:  # noqa: N802
        """Name, version, extensions."""
        return pb.ServerMetadataResponse(name="openirp-inference", version=self._version, extensions=EXTENSIONS)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:  # noqa: N802
        """Shapes of the tensors."""
        return metadata_of(await self._nets.describe(request.name, request.version))

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Any) -> pb.ModelConfigResponse:  # noqa: N802
        """The same in Triton's words."""
        return pb.ModelConfigResponse(config=config_of(await self._nets.describe(request.name, request.version)))

    async def ModelStatistics(self, request: pb.ModelStatisticsRequest, context: Any) -> pb.ModelStatisticsResponse:  # noqa: N802
        """Of one network, or of all that are loaded."""
        found = await self._nets.statistics(request.name, request.version)
        return pb.ModelStatisticsResponse(model_stats=[statistics_of(*one) for one in found])

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:  # noqa: N802
        """Normalised images in, logits out."""
        return answer_of(request, *await self._infer(request))

    async def packed(self, request: pb.ModelInferRequest, context: Any) -> bytes:
        """The same with the answer as it goes on the wire."""
        return packed_answer_of(request, *await self._infer(request))

    async def _infer(self, request: pb.ModelInferRequest) -> tuple[int, Array]:
        wish = ticket(parameters_of(request), deadline.get())
        images = images_of(request)
        return await self._nets.infer(request.model_name, request.model_version, images, wish, request.id)

    async def ModelStreamInfer(  # noqa: N802
        self, requests: AsyncIterator[pb.ModelInferRequest], context: Any
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """Answers in the order of their requests; one that is refused does not end the stream."""
        under_way: asyncio.Queue[asyncio.Task[pb.ModelStreamInferResponse] | None] = asyncio.Queue(STREAM_AHEAD)

        async def read() -> None:
            try:
                async for request in requests:
                    await under_way.put(asyncio.create_task(self._streamed(request, context)))
            finally:  # also after a message that cannot be read: nothing comes behind it
                await under_way.put(None)

        reading = asyncio.create_task(read())
        try:
            while (task := await under_way.get()) is not None:
                yield await task
            await reading
        finally:
            reading.cancel()
            while not under_way.empty():
                if (left := under_way.get_nowait()) is not None:
                    left.cancel()

    async def _streamed(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelStreamInferResponse:
        try:
            if self._leaves:
                raise ServerLeaves
            return pb.ModelStreamInferResponse(infer_response=await self.ModelInfer(request, context))
        except Exception as error:
            known = self._known(error)
            refused = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
            return pb.ModelStreamInferResponse(error_message=f"{known.reason}: {known.message}", infer_response=refused)

    def _known(self, error: Exception) -> IrpError:
        """What is told of an error; one that nobody foresaw is the operator's to see."""
        known = answerable(error)
        if known is not error:
            self._log.error("streamed_request_failed", exc_info=error)
        return known

    async def SystemSharedMemoryStatus(self, request: Any, context: Any) -> pb.SystemSharedMemoryStatusResponse:  # noqa: N802
        """None."""
        return pb.SystemSharedMemoryStatusResponse()

    async def SystemSharedMemoryRegister(self, request: Any, context: Any) -> pb.SystemSharedMemoryRegisterResponse:  # noqa: N802
        """Refused."""
        raise Unimplemented(SHARED_MEMORY)

    async def SystemSharedMemoryUnregister(self, request: Any, context: Any) -> pb.SystemSharedMemoryUnregisterResponse:  # noqa: N802
        """There is none."""
        return pb.SystemSharedMemoryUnregisterResponse()

    async def CudaSharedMemoryStatus(self, request: Any, context: Any) -> pb.CudaSharedMemoryStatusResponse:  # noqa: N802
        """None."""
        return pb.CudaSharedMemoryStatusResponse()

    async def CudaSharedMemoryRegister(self, request: Any, context: Any) -> pb.CudaSharedMemoryRegisterResponse:  # noqa: N802
        """Refused."""
        raise Unimplemented(SHARED_MEMORY)

    async def CudaSharedMemoryUnregister(self, request: Any, context: Any) -> pb.CudaSharedMemoryUnregisterResponse:  # noqa: N802
        """There is none."""
        return pb.CudaSharedMemoryUnregisterResponse()

    async def TraceSetting(self, request: pb.TraceSettingRequest, context: Any) -> pb.TraceSettingResponse:  # noqa: N802
        """Traces are the operator's (IRP_OTLP_ENDPOINT); nothing can be set here."""
        if request.settings:
            raise Unimplemented("tracing is set by the operator")
        return pb.TraceSettingResponse()

    async def LogSettings(self, request: pb.LogSettingsRequest, context: Any) -> pb.LogSettingsResponse:  # noqa: N802
        """Logs are the operator's (IRP_LOG_LEVEL); nothing can be set here."""
        if request.settings:
            raise Unimplemented("logging is set by the operator")
        return pb.LogSettingsResponse()
