"""Bodies of the REST door: JSON with numbers, or JSON before Triton's binary tensors; packed or not."""

from __future__ import annotations

import json
import zlib
from typing import Any

import numpy as np
from fastapi import Response
from fastapi.responses import JSONResponse
from irp_kernel.errors import TooLarge
from numpy.typing import NDArray

from irp_inference.adapters.oip.forms import InferBody
from irp_inference.adapters.oip.messages import from_bytes, require_input, shaped
from irp_inference.adapters.oip.nets import FP32, OUTPUT
from irp_inference.domain.errors import TensorNotUsable

HEADER_LENGTH = "Inference-Header-Content-Length"
MAX_HEADER = 1 << 20  # bytes of the JSON before binary tensors

Array = NDArray[np.float32]


def split(body: bytes, header_length: str | None) -> tuple[memoryview, memoryview]:
    """The JSON, and the binary tensors behind it."""
    whole = memoryview(body)
    if header_length is None:
        return whole, whole[:0]
    if not header_length.isdecimal() or int(header_length) > min(len(body), MAX_HEADER):
        raise TensorNotUsable(f"{HEADER_LENGTH} does not fit the body")
    return whole[: int(header_length)], whole[int(header_length) :]


def document_of(data: bytes | memoryview) -> dict[str, Any]:
    """The JSON object of a body."""
    try:
        document = json.loads(bytes(data))
    except (ValueError, RecursionError) as cause:
        raise TensorNotUsable("the body is not JSON") from cause
    if not isinstance(document, dict):
        raise TensorNotUsable("the body is not an object")
    return document


def images_in(asked: InferBody, rest: memoryview) -> Array:
    """The one input, from numbers or from the bytes behind the JSON."""
    (given,) = asked.inputs
    require_input(given.name, given.datatype, shared=given.parameters.shared_memory_region is not None)
    size = given.parameters.binary_data_size
    if size is None:
        return shaped(_numbers(given.data), given.shape)
    if size != len(rest):
        raise TensorNotUsable("the tensor's bytes do not fit its shape")
    return from_bytes(rest, given.shape)


def _numbers(data: Any) -> Array:
    try:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, and refused as such
            return np.asarray(data, np.float32).ravel()
    except (TypeError, ValueError, OverflowError) as cause:
        raise TensorNotUsable("inputs.0.data: numbers, in one list or nested") from cause


def answer_with(answer: dict[str, Any], logits: Array, binary: bool) -> Response:
    """Logits as numbers, or as bytes behind the JSON."""
    output: dict[str, Any] = {"name": OUTPUT, "datatype": FP32, "shape": list(logits.shape)}
    if not binary:
        return JSONResponse(answer | {"outputs": [output | {"data": logits.ravel().tolist()}]})
    raw = np.ascontiguousarray(logits, "<f4").data.cast("B")
    head = json.dumps(answer | {"outputs": [output | {"parameters": {"binary_data_size": raw.nbytes}}]}).encode()
    headers = {HEADER_LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
    return Response(b"".join((head, raw)), headers=headers)


def unpack(body: bytes, limit: int) -> bytes:
    """Gzip or zlib, believed only up to the limit."""
    machine = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        data = machine.decompress(body, limit)
        if machine.unconsumed_tail or machine.decompress(machine.unconsumed_tail, 1):
            raise TooLarge(limit_bytes=limit)
    except zlib.error as cause:
        raise TensorNotUsable("the body cannot be unpacked") from cause
    if not machine.eof or machine.unused_data:
        raise TensorNotUsable("the body cannot be unpacked")
    return data
