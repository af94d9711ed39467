"""Messages of the protocol <-> arrays and counts."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence

import numpy as np
from irp.oip import open_inference_pb2 as pb
from irp_chassis.rpc import caller
from numpy.typing import NDArray

from irp_inference.adapters.oip.forms import MOST_AXES, Parameters, read
from irp_inference.adapters.oip.nets import FP32, INPUT, MAX_BATCH, OUTPUT, Net
from irp_inference.app.ports import Lane, Ticket
from irp_inference.domain.errors import TensorNotUsable
from irp_inference.domain.statistics import NetStatistics, Tally

_RAW = pb.ModelInferResponse.DESCRIPTOR.fields_by_name["raw_output_contents"].number
RAW_OUTPUT = bytes([_RAW << 3 | 2])  # the field's tag: length-delimited
SHARED_MEMORY = "shared memory is not offered: send the tensor's bytes (raw_input_contents, binary data)"


def ticket(parameters: Parameters, until: float | None) -> Ticket:
    """Whose request, and until when it is worth answering; `until` is the call's own deadline, monotonic."""
    if parameters.timeout:
        own = time.monotonic() + parameters.timeout / 1e6
        until = own if until is None else min(until, own)
    lane = Lane(min(max(parameters.priority - 1, 0), max(Lane)))
    if parameters.sequence_id:
        raise TensorNotUsable("these models keep no state between requests: leave sequence_id out")
    return Ticket(project=caller().project or caller().subject, lane=lane, until=until)


def parameters_of(request: pb.ModelInferRequest) -> Parameters:
    """Parameters of gRPC, whose values are of one of several types."""
    chosen = ((name, p, p.WhichOneof("parameter_choice")) for name, p in request.parameters.items())
    return read(Parameters, {name: getattr(p, which) for name, p, which in chosen if which}, "parameters")


def images_of(request: pb.ModelInferRequest) -> NDArray[np.float32]:
    """The one input; its bytes are not copied.

    Raises:
        TensorNotUsable: another name, type or number of inputs, or bytes that do not fit the shape.
    """
    require_outputs(output.name for output in request.outputs)
    if any("classification" in output.parameters for output in request.outputs):
        raise TensorNotUsable("classification is not offered: logits are answered")
    if len(request.inputs) != 1:
        raise TensorNotUsable("the model takes one tensor")
    given = request.inputs[0]
    require_input(given.name, given.datatype, shared="shared_memory_region" in given.parameters)
    if request.raw_input_contents:
        return from_bytes(request.raw_input_contents[0], given.shape)
    return shaped(np.asarray(given.contents.fp32_contents, np.float32), given.shape)


def require_input(name: str, datatype: str, *, shared: bool) -> None:
    """Refuse what is not the model's input."""
    if name != INPUT or datatype != FP32:
        raise TensorNotUsable(f"the input is called {INPUT} and is {FP32}")
    if shared:
        raise TensorNotUsable(SHARED_MEMORY)


def require_outputs(names: Iterable[str]) -> None:
    """Refuse outputs that there are not."""
    if any(name != OUTPUT for name in names):
        raise TensorNotUsable(f"the output is called {OUTPUT}")


def from_bytes(raw: bytes | memoryview, shape: Sequence[int]) -> NDArray[np.float32]:
    """Little-endian bytes -> array, without a copy."""
    if len(raw) % 4:
        raise TensorNotUsable("the tensor's bytes do not fit its shape")
    return shaped(np.frombuffer(raw, "<f4").astype(np.float32, copy=False), shape)


def shaped(array: NDArray[np.float32], shape: Sequence[int]) -> NDArray[np.float32]:
    """With its shape, if it has so many numbers; which shape the network takes is compared later."""
    sane = 0 < len(shape) <= MOST_AXES and all(side > 0 for side in shape)
    if not sane or array.size != math.prod(shape):
        raise TensorNotUsable("the tensor's bytes do not fit its shape")
    return array.reshape(tuple(shape))


def head_of(request: pb.ModelInferRequest, version: int, logits: NDArray[np.float32]) -> pb.ModelInferResponse:
    """An answer without its logits."""
    output = pb.ModelInferResponse.InferOutputTensor(name=OUTPUT, datatype=FP32, shape=logits.shape)
    return pb.ModelInferResponse(
        model_name=request.model_name, model_version=str(version), id=request.id, outputs=[output]
    )


def answer_of(request: pb.ModelInferRequest, version: int, logits: NDArray[np.float32]) -> pb.ModelInferResponse:
    """Logits as raw bytes."""
    answer = head_of(request, version, logits)
    answer.raw_output_contents.append(np.ascontiguousarray(logits, "<f4").tobytes())
    return answer


def packed_answer_of(request: pb.ModelInferRequest, version: int, logits: NDArray[np.float32]) -> bytes:
    """The same as it goes on the wire: a message would copy the logits three times, this copies them once.

    Source: protobuf encoding, "Length-delimited records": fields may stand in any order, one after another.
    """
    raw = np.ascontiguousarray(logits, "<f4").data.cast("B")
    return b"".join((head_of(request, version, logits).SerializeToString(), RAW_OUTPUT, _varint(raw.nbytes), raw))


def _varint(number: int) -> bytes:
    """Seven bits at a time, the lowest first."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def metadata_of(net: Net) -> pb.ModelMetadataResponse:
    """Shapes of the tensors; -1 = any number."""
    tensor = pb.ModelMetadataResponse.TensorMetadata
    return pb.ModelMetadataResponse(
        name=net.name,
        versions=[str(net.version)],
        platform=net.model.nets.engine,
        inputs=[tensor(name=INPUT, datatype=FP32, shape=[-1, *net.inputs])],
        outputs=[tensor(name=OUTPUT, datatype=FP32, shape=[-1, *net.outputs])],
    )


def config_of(net: Net) -> pb.ModelConfig:
    """What Triton's clients ask of a configuration."""
    return pb.ModelConfig(
        name=net.name,
        platform=net.model.nets.engine,
        backend=net.model.nets.engine,
        max_batch_size=MAX_BATCH,
        input=[pb.ModelInput(name=INPUT, data_type=pb.TYPE_FP32, dims=net.inputs)],
        output=[pb.ModelOutput(name=OUTPUT, data_type=pb.TYPE_FP32, dims=net.outputs)],
        dynamic_batching=pb.ModelDynamicBatching(
            preferred_batch_size=[net.model.nets.best_batch], preserve_ordering=True
        ),
    )


def statistics_of(name: str, version: int, counts: NetStatistics) -> pb.ModelStatistics:
    """Counts as Triton names them; putting tensors together and apart is part of `compute_infer`."""
    return pb.ModelStatistics(
        name=name,
        version=str(version),
        last_inference=int(counts.last_s * 1000),
        inference_count=counts.inferences,
        execution_count=counts.executions,
        inference_stats=pb.InferStatistics(
            success=_duration(counts.success),
            fail=_duration(counts.fail),
            queue=_duration(counts.queue),
            compute_infer=_duration(counts.compute),
        ),
        batch_stats=[
            pb.InferBatchStatistics(batch_size=rows, compute_infer=_duration(tally))
            for rows, tally in sorted(counts.batches.items())
        ],
    )


def _duration(tally: Tally) -> pb.StatisticDuration:
    return pb.StatisticDuration(count=tally.count, ns=tally.ns)
