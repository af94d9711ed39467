"""Open Inference Protocol v2 by gRPC, with the calls that Triton's client adds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.json_format import ParseDict
from irp.oip import open_inference_pb2 as pb
from irp_chassis.verdicts import title_of
from irp_kernel.errors import IrpError

from irp_inference.adapters.oip_infer import Infer, ticket_of
from irp_inference.adapters.oip_models import FP32, OUTPUT, Catalogue, image_shape
from irp_inference.adapters.oip_not_offered import NotOffered
from irp_inference.adapters.oip_repository import RepositoryCalls
from irp_inference.adapters.oip_tensors import (
    Pixels,
    from_bytes,
    from_numbers,
    require_form,
    require_no_region,
    require_outputs,
    to_bytes,
)
from irp_inference.app.repository import Repository
from irp_inference.domain.errors import TensorNotUsable

AT_ONCE = 8
"""Requests of one stream that are worked on at the same time; answers keep the order of the questions."""


class OpenInference(RepositoryCalls, NotOffered):
    """Serves tensors; pre- and post-processing are the caller's."""

    def __init__(self, infer: Infer, catalogue: Catalogue, repository: Repository, room_ready: Any) -> None:
        super().__init__(catalogue, repository)
        self._infer, self._room_ready = infer, room_ready

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:  # noqa: N802
        """True while it answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:  # noqa: N802
        """True while the room is ready and every champion is loaded."""
        return pb.ServerReadyResponse(ready=await self._room_ready() and await self._repository.ready())

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:  # noqa: N802
        """True if the version is loaded; asking loads nothing."""
        try:
            return pb.ModelReadyResponse(ready=self._catalogue.ready(request.name, request.version))
        except IrpError:
            return pb.ModelReadyResponse(ready=False)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Any) -> pb.ServerMetadataResponse:  # noqa: N802
        """Name, version, extensions."""
        return ParseDict(self._catalogue.server(), pb.ServerMetadataResponse())

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:  # noqa: N802
        """Shapes of the tensors; -1 = any number."""
        async with self._infer.use(request.name, request.version) as (model, stage):
            return ParseDict(await self._catalogue.metadata(model, stage), pb.ModelMetadataResponse())

    async def ModelConfig(self, request: pb.ModelConfigRequest, context: Any) -> pb.ModelConfigResponse:  # noqa: N802
        """What Triton's configuration would say."""
        async with self._infer.use(request.name, request.version) as (model, stage):
            return ParseDict({"config": self._catalogue.config(model, stage)}, pb.ModelConfigResponse())

    async def ModelStatistics(self, request: pb.ModelStatisticsRequest, context: Any) -> pb.ModelStatisticsResponse:  # noqa: N802
        """Counts since the room began."""
        found = await self._catalogue.statistics(request.name, request.version)
        return ParseDict({"model_stats": found}, pb.ModelStatisticsResponse())

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:  # noqa: N802
        """Normalised images in, logits out."""
        async with self._infer.use(request.model_name, request.model_version) as (model, stage):
            ticket = ticket_of(_parameters(request.parameters))
            _require(request, image_shape(model, stage), self._catalogue.max_batch)
            images = await self._infer.beside(request.ByteSize(), lambda: _images(request))
            logits = await self._infer.forward(model, stage, images, ticket)
            raw = await self._infer.beside(logits.nbytes, lambda: to_bytes(logits))
            return pb.ModelInferResponse(
                model_name=request.model_name,
                model_version=str(model.version),
                id=request.id,
                outputs=[pb.ModelInferResponse.InferOutputTensor(name=OUTPUT, datatype=FP32, shape=logits.shape)],
                raw_output_contents=[raw],
            )

    async def ModelStreamInfer(  # noqa: N802
        self, requests: AsyncIterator[pb.ModelInferRequest], context: Any
    ) -> AsyncIterator[pb.ModelStreamInferResponse]:
        """One answer per question, in their order; an error is an answer and ends nothing."""
        working: asyncio.Queue[asyncio.Task[pb.ModelStreamInferResponse] | None] = asyncio.Queue(AT_ONCE)

        async def read() -> None:
            try:
                async for request in requests:
                    await working.put(asyncio.create_task(self._streamed(request, context)))
            finally:
                await working.put(None)

        reading = asyncio.create_task(read())
        try:
            while (task := await working.get()) is not None:
                yield await task
        finally:
            reading.cancel()
            while not working.empty():
                if (left := working.get_nowait()) is not None:
                    left.cancel()

    async def _streamed(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelStreamInferResponse:
        try:
            answer = await self.ModelInfer(request, context)
        except IrpError as error:
            named = pb.ModelInferResponse(model_name=request.model_name, id=request.id)
            return pb.ModelStreamInferResponse(error_message=error.message or title_of(error), infer_response=named)
        if request.parameters["triton_enable_empty_final_response"].bool_param:
            answer.parameters["triton_final_response"].bool_param = True
        return pb.ModelStreamInferResponse(infer_response=answer)


def _parameters(given: Any) -> dict[str, Any]:
    return {name: getattr(value, value.WhichOneof("parameter_choice") or "", None) for name, value in given.items()}


def _require(request: pb.ModelInferRequest, one: tuple[int, ...], max_batch: int) -> None:
    if len(request.inputs) != 1 or len(request.raw_input_contents) > 1:
        raise TensorNotUsable("the model takes one tensor")
    tensor = request.inputs[0]
    require_no_region(tensor.parameters)
    require_form(tensor.name, tensor.datatype, tensor.shape, one, max_batch)
    require_outputs([(output.name, set(output.parameters)) for output in request.outputs])


def _images(request: pb.ModelInferRequest) -> Pixels:
    tensor = request.inputs[0]
    if request.raw_input_contents:
        return from_bytes(request.raw_input_contents[0], tensor.shape)
    return from_numbers(tensor.contents.fp32_contents, tensor.shape)
