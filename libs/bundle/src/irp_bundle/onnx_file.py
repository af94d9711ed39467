"""An ONNX file, looked through without running it: what it takes and answers, and that it is all there is.

The file is protobuf; only the fields that matter here are read, in bounded time and memory. OpenVINO reads the rest, in
a process of its own. Source: ONNX IR specification, onnx.proto (field numbers).
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from irp_bundle.archive import Limits
from irp_bundle.errors import BundleBroken, BundleTooLarge, BundleUnsafe, NetworkNotAllowed

FLOAT = 1  # TensorProto.DataType
DOMAINS = (b"", b"ai.onnx")  # operators of ONNX's own
MAX_DEPTH = 8  # graphs within attributes of nodes
MAX_MESSAGES = 200_000
MAX_FIELDS = 1_000_000  # of all of them: numbers lie packed in one
MAX_RANK_BYTES = 1 << 10  # of packed dimensions
MAX_RANK = 8  # of what a network takes and answers

# What lies in what: kind of message -> field -> kind of message. Fields that are not here are skipped.
INSIDE: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
    "training": {},
}

# What is looked at beyond that: a node's and a function's domain; a tensor's dimensions, and whether it lies elsewhere.
LOOKED_AT: Mapping[str, frozenset[int]] = {
    kind: frozenset(fields) | {1, 7, 10, 13, 14} for kind, fields in INSIDE.items()
}

Field = tuple[int, int | memoryview]


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxShape:
    """What a network says of itself.

    Attributes:
        inputs: dimensions of its one input; None = any.
        outputs: dimensions of its one answer; None = any, or not said.
    """

    inputs: tuple[int | None, ...]
    outputs: tuple[int | None, ...]


def check_onnx(data: bytes, limits: Limits) -> OnnxShape:
    """Look through a file.

    Raises:
        BundleBroken: not protobuf, or not one float32 input and one answer.
        BundleUnsafe: numbers outside the file.
        BundleTooLarge: too many numbers or messages.
        NetworkNotAllowed: operators that are not ONNX's own.
    """
    try:
        _check_messages(memoryview(data), limits)
        graphs = [value for number, value in _fields(memoryview(data)) if number == 7]
        if len(graphs) != 1:
            raise BundleBroken("an ONNX file holds one graph")
        return _shape(_bytes(graphs[0]))
    except (IndexError, ValueError, TypeError, OverflowError) as cause:
        raise BundleBroken("an ONNX file cannot be read") from cause


def _check_messages(model: memoryview, limits: Limits) -> None:
    waiting, seen, numbers, budget = deque([("model", model, 0)]), 0, 0, iter(range(MAX_FIELDS))
    while waiting:
        kind, message, depth = waiting.pop()
        seen += 1
        if seen > MAX_MESSAGES or depth > 4 * MAX_DEPTH:
            raise BundleTooLarge("an ONNX file holds too many parts", limit_parts=MAX_MESSAGES)
        fields = [field for field in _fields(message, budget) if field[0] in LOOKED_AT[kind]]
        numbers += _numbers(fields) if kind == "tensor" else 0
        if numbers > limits.parameters:
            raise BundleTooLarge("an ONNX file holds too many numbers", limit_parameters=limits.parameters)
        _check_message(kind, fields)
        for number, value in fields:
            if (inner := INSIDE[kind].get(number)) is not None:
                waiting.append((inner, _bytes(value), depth + 1))


def _check_message(kind: str, fields: list[Field]) -> None:
    if kind == "training":
        raise NetworkNotAllowed("an ONNX file for training is not taken")
    if kind == "tensor" and any(number == 13 or (number == 14 and value) for number, value in fields):
        raise BundleUnsafe("an ONNX file keeps its numbers in another file")
    if kind in {"node", "function"}:
        domain = 7 if kind == "node" else 10
        if any(number == domain and bytes(_bytes(value)) not in DOMAINS for number, value in fields):
            raise NetworkNotAllowed("operators of an ONNX file are those of ONNX itself")


def _numbers(tensor: list[Field]) -> int:
    sizes = [size for number, value in tensor if number == 1 for size in _integers(value)]
    if any(size < 0 or size >> 40 for size in sizes):
        raise BundleBroken("an ONNX file holds a tensor of no size")
    return math.prod(sizes)


def _shape(graph: memoryview) -> OnnxShape:
    fields = list(_fields(graph))
    constants = {_name(value, 8) for number, value in fields if number == 5}
    inputs = [value for number, value in fields if number == 11 and _name(value, 1) not in constants]
    outputs = [value for number, value in fields if number == 12]
    if len(inputs) != 1 or len(outputs) != 1:
        raise BundleBroken("a network has one input and one answer", inputs=len(inputs), outputs=len(outputs))
    kind, sizes = _tensor_type(_bytes(inputs[0]))
    if kind != FLOAT or _tensor_type(_bytes(outputs[0]))[0] != FLOAT:
        raise BundleBroken("a network takes and answers float32")
    return OnnxShape(inputs=sizes, outputs=_tensor_type(_bytes(outputs[0]))[1])


def _tensor_type(value_info: memoryview) -> tuple[int, tuple[int | None, ...]]:
    tensor = _bytes(_first(_bytes(_first(value_info, 2, b"")), 1, b""))
    shape = _bytes(_first(tensor, 2, b""))
    found = (_bytes(value) for number, value in _fields(shape) if number == 1)
    dimensions = list(islice(found, MAX_RANK + 1))
    if len(dimensions) > MAX_RANK:
        raise BundleBroken(f"a network takes and answers at most {MAX_RANK} dimensions")
    sizes = [_first(dimension, 1, 0) for dimension in dimensions]
    return int(_first(tensor, 1, 0)), tuple(int(size) or None for size in sizes)


def _name(message: int | memoryview, field: int) -> bytes:
    return bytes(_bytes(_first(_bytes(message), field, b"")))


def _first(message: memoryview, field: int, default: int | bytes) -> int | memoryview:
    found = next((value for number, value in _fields(message) if number == field), None)
    if found is not None:
        return found
    return default if isinstance(default, int) else memoryview(default)


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise BundleBroken("an ONNX file has a number where a message belongs")
    return value


def _integers(value: int | memoryview) -> list[int]:
    """One number, or a packed row of them."""
    if isinstance(value, int):
        return [_signed(value)]
    if len(value) > MAX_RANK_BYTES:
        raise BundleBroken("an ONNX file holds a tensor of too many dimensions")
    found, at = [], 0
    while at < len(value):
        number, at = _varint(value, at)
        found.append(_signed(number))
    return found


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _fields(message: memoryview, budget: Iterator[int] | None = None) -> Iterator[Field]:
    """(number, value) of each field: a number, or bytes. Source: protobuf's encoding, wire types 0, 1, 2 and 5."""
    at = 0
    while at < len(message):
        if budget is not None and next(budget, None) is None:
            raise BundleTooLarge("an ONNX file holds too many parts", limit_parts=MAX_FIELDS)
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = (8, at) if wire == 1 else (4, at) if wire == 5 else _varint(message, at)
        if wire not in {1, 2, 5} or size > len(message) - at:
            raise BundleBroken("an ONNX file is torn, or no protobuf")
        yield number, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & ((1 << 64) - 1), at
    raise BundleBroken("an ONNX file holds a number of no end")
