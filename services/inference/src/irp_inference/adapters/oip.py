"""Open Inference Protocol v2: the nets of a model as `<name>.locate` and `<name>.segment`; tensors in, logits out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc
from irp_bundle import Stage
from irp_chassis.rpc import caller
from irp_chassis.rpc_server import deadline
from irp_kernel.errors import IrpError, ModelUnknown
from irp_kernel.ids import Slug
from numpy.typing import NDArray

from irp_inference.adapters.shelf import Shelf
from irp_inference.app.ports import Batches, Loaded, Ticket
from irp_inference.domain.errors import TensorNotUsable

INPUT, OUTPUT, FP32 = "image", "logits", "FP32"
MAX_BATCH = 64
LOCATE_CHANNELS = 2  # background, left ventricle


class OpenInference(pb_grpc.GRPCInferenceServiceServicer):
    """Serves tensors; pre- and post-processing are the caller's."""

    def __init__(self, shelf: Shelf, batches: Batches, version: str) -> None:
        self._shelf, self._batches, self._version = shelf, batches, version

    async def ServerLive(self, request: pb.ServerLiveRequest, context: Any) -> pb.ServerLiveResponse:  # noqa: N802
        """True while it answers."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, request: pb.ServerReadyRequest, context: Any) -> pb.ServerReadyResponse:  # noqa: N802
        """True once the room serves."""
        return pb.ServerReadyResponse(ready=True)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Any) -> pb.ModelReadyResponse:  # noqa: N802
        """True if the version can be used."""
        try:
            async with self._use(request.name, request.version):
                return pb.ModelReadyResponse(ready=True)
        except IrpError:
            return pb.ModelReadyResponse(ready=False)

    async def ServerMetadata(self, request: pb.ServerMetadataRequest, context: Any) -> pb.ServerMetadataResponse:  # noqa: N802
        """Name and version."""
        return pb.ServerMetadataResponse(name="openirp-inference", version=self._version)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Any) -> pb.ModelMetadataResponse:  # noqa: N802
        """Shapes of the tensors; -1 = any number."""
        tensor = pb.ModelMetadataResponse.TensorMetadata
        async with self._use(request.name, request.version) as (model, stage):
            size, channels = _size(model, stage), _channels(model, stage)
            return pb.ModelMetadataResponse(
                name=request.name,
                versions=[str(model.version)],
                platform=model.nets.engine,
                inputs=[tensor(name=INPUT, datatype=FP32, shape=[-1, 1, size, size])],
                outputs=[tensor(name=OUTPUT, datatype=FP32, shape=[-1, channels, size, size])],
            )

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:  # noqa: N802
        """Normalised images in, logits out."""
        async with self._use(request.model_name, request.model_version) as (model, stage):
            images = _images(request, _size(model, stage))
            ticket = Ticket(project=caller().project, until=deadline.get())
            logits = await self._batches.forward(model, stage, images, ticket)
            output = pb.ModelInferResponse.InferOutputTensor(name=OUTPUT, datatype=FP32, shape=logits.shape)
            return pb.ModelInferResponse(
                model_name=request.model_name,
                model_version=str(model.version),
                id=request.id,
                outputs=[output],
                raw_output_contents=[np.ascontiguousarray(logits, "<f4").tobytes()],
            )

    @asynccontextmanager
    async def _use(self, name: str, version: str) -> AsyncIterator[tuple[Loaded, Stage]]:
        base, _, wanted = name.rpartition(".")
        if wanted not in {"locate", "segment"} or (version and not version.isdecimal()):
            raise ModelUnknown("models are named <name>.locate and <name>.segment, versions are integers")
        stage: Stage = "locate" if wanted == "locate" else "segment"
        async with self._shelf.use(Slug(base), int(version) if version else None) as model:
            if stage not in model.steps.bundle.stages:
                raise ModelUnknown("this model has one stage")
            yield model, stage


def _size(model: Loaded, stage: Stage) -> int:
    spec = model.steps.spec
    return spec.locate.size if stage == "locate" else spec.segment.size


def _channels(model: Loaded, stage: Stage) -> int:
    return LOCATE_CHANNELS if stage == "locate" else len(model.steps.bundle.channels)


def _images(request: pb.ModelInferRequest, size: int) -> NDArray[np.float32]:
    if len(request.inputs) != 1 or request.inputs[0].datatype != FP32:
        raise TensorNotUsable("the model takes one FP32 tensor")
    if "shared_memory_region" in request.inputs[0].parameters:
        raise TensorNotUsable("shared memory is not offered: send raw_input_contents")
    shape = tuple(request.inputs[0].shape)
    if len(shape) != 4 or not 1 <= shape[0] <= MAX_BATCH or shape[1:] != (1, size, size):
        raise TensorNotUsable(f"the shape is (1 to {MAX_BATCH}, 1, {size}, {size})")
    if request.raw_input_contents:
        raw = request.raw_input_contents[0]
        array = np.frombuffer(raw, "<f4") if len(raw) % 4 == 0 else np.empty(0, "<f4")
    else:
        array = np.asarray(request.inputs[0].contents.fp32_contents, np.float32)
    if array.size != int(np.prod(shape)) or not np.isfinite(array).all():
        raise TensorNotUsable("the tensor's bytes do not fit its shape, or are not finite")
    return np.asarray(array.reshape(shape), dtype=np.float32)
