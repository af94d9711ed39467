"""`POST .../infer`: the protocol's JSON, with Triton's binary extension both ways."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from irp_kernel.errors import InvalidArgument
from starlette.requests import Request
from starlette.responses import Response

from irp_inference.adapters.oip_bodies import HEADER_LENGTH, read_body, split, unpack
from irp_inference.adapters.oip_infer import Infer, ticket_of
from irp_inference.adapters.oip_models import FP32, OUTPUT, image_shape
from irp_inference.adapters.oip_tensors import (
    Pixels,
    from_bytes,
    from_numbers,
    require_form,
    require_no_region,
    require_outputs,
    to_bytes,
)
from irp_inference.domain.errors import TensorNotUsable

TEXT_COST = 16
"""To read or write a number as text costs some sixteen times what it costs as bytes."""


@dataclass(frozen=True, slots=True)
class RestInfer:
    """The door's one call with tensors."""

    infer: Infer
    max_batch: int
    limit: int

    async def __call__(self, request: Request, name: str, version: str) -> Response:
        """Images in, logits out."""
        packed, encoding = await read_body(request, self.limit), request.headers.get("content-encoding", "")
        if encoding:
            packed = await self.infer.offload(lambda: unpack(packed, encoding, self.limit))
        length = request.headers.get(HEADER_LENGTH)
        cost = len(packed) if length else len(packed) * TEXT_COST
        asked, tail = await self.infer.beside(cost, lambda: split(packed, length))
        return await self._answer(asked, tail, name, version, cost)

    async def _answer(self, asked: dict[str, Any], tail: memoryview, name: str, version: str, cost: int) -> Response:
        async with self.infer.use(name, version) as (model, stage):
            parameters = _object(asked, "parameters")
            ticket = ticket_of(parameters)
            tensor = _tensor(asked, image_shape(model, stage), self.max_batch)
            binary = _wants_binary(asked, parameters)
            images = await self.infer.beside(cost, lambda: _images(tensor, tail))
            logits = await self.infer.forward(model, stage, images, ticket)
            said = {"model_name": name, "model_version": str(model.version), "id": str(asked.get("id", ""))}
            cost = logits.nbytes if binary else logits.nbytes * TEXT_COST
            return await self.infer.beside(cost, lambda: _written(said, logits, binary=binary))


def _written(said: dict[str, Any], logits: Pixels, *, binary: bool) -> Response:
    output: dict[str, Any] = {"name": OUTPUT, "datatype": FP32, "shape": list(logits.shape)}
    if not binary:
        output["data"] = logits.ravel().tolist()
        return Response(json.dumps({**said, "outputs": [output]}), media_type="application/json")
    raw = to_bytes(logits)
    output["parameters"] = {"binary_data_size": len(raw)}
    head = json.dumps({**said, "outputs": [output]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    return Response(head + raw, media_type="application/octet-stream", headers=headers)


def _tensor(asked: dict[str, Any], one: tuple[int, ...], max_batch: int) -> dict[str, Any]:
    inputs = asked.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise TensorNotUsable("the model takes one tensor: inputs is a list of one object")
    tensor, shape = inputs[0], inputs[0].get("shape")
    if not isinstance(shape, list) or not all(type(number) is int for number in shape):
        raise TensorNotUsable("shape is a list of whole numbers")
    require_no_region(_object(tensor, "parameters"))
    require_form(str(tensor.get("name")), str(tensor.get("datatype")), shape, one, max_batch)
    return tensor


def _images(tensor: dict[str, Any], tail: memoryview) -> Pixels:
    size = _object(tensor, "parameters").get("binary_data_size")
    if size is None:
        if len(tail):
            raise TensorNotUsable("bytes follow the JSON, but no input says binary_data_size")
        return from_numbers(tensor.get("data"), tensor["shape"])
    if size != len(tail):
        raise TensorNotUsable("binary_data_size is not the number of bytes behind the JSON")
    return from_bytes(tail, tensor["shape"])


def _wants_binary(asked: dict[str, Any], parameters: dict[str, Any]) -> bool:
    outputs = asked.get("outputs") or []
    if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
        raise InvalidArgument("outputs is a list of objects")
    told = [_object(output, "parameters") for output in outputs]
    require_outputs([(str(o.get("name")), set(p)) for o, p in zip(outputs, told, strict=True)])
    everywhere = parameters.get("binary_data_output") is True
    return told[0].get("binary_data", everywhere) is True if told else everywhere


def _object(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name) or {}
    if not isinstance(found, dict):
        raise InvalidArgument(f"{name} is an object")
    return found
