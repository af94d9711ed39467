"""What you learn here: whatever a body of the REST door claims to be, it is refused in words and costs little."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import numpy as np
import pytest
from irp_inference.adapters.oip_bodies import split, unpack
from irp_inference.adapters.oip_models import asked_for
from irp_inference.adapters.oip_tensors import from_bytes, from_numbers, require_form, require_outputs, to_bytes
from irp_kernel.errors import InvalidArgument, IrpError, ModelUnknown, TooLarge, UnsupportedMediaType

LIMIT = 1 << 20


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_packed_bodies_come_out_whole_and_bombs_stop_at_the_limit(encoding: str, pack: Any) -> None:
    assert unpack(pack(b"{}"), encoding, LIMIT) == b"{}"
    assert len(unpack(pack(bytes(LIMIT)), encoding, LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        unpack(pack(bytes(LIMIT * 20)), encoding, LIMIT)
    for damaged in (pack(b"{}")[:-3], b"nonsense", pack(b"{}") + b"more"):
        with pytest.raises(InvalidArgument):
            unpack(damaged, encoding, LIMIT)


def test_other_packings_are_refused() -> None:
    with pytest.raises(UnsupportedMediaType):
        unpack(b"", "br", LIMIT)


@pytest.mark.parametrize("length", ["-1", "3.0", "9" * 30, "100", "x"])
def test_a_wrong_length_of_the_json_is_refused(length: str) -> None:
    with pytest.raises(InvalidArgument):
        split(b"{}rest", length)


@pytest.mark.parametrize("text", [b"[]", b"{", b"\xff", b"[" * 100_000, b"1"])
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument):
        split(text, None)


def test_json_and_bytes_are_told_apart() -> None:
    head = json.dumps({"id": "7"}).encode()
    found, tail = split(head + b"\0\1", str(len(head)))
    assert (found, bytes(tail)) == ({"id": "7"}, b"\0\1")


def test_numbers_and_bytes_make_the_same_tensor_and_go_back() -> None:
    image = np.arange(8, dtype="<f4").reshape(2, 1, 2, 2)
    assert np.array_equal(from_bytes(to_bytes(image), image.shape), image)
    assert np.array_equal(from_numbers(image.tolist(), image.shape), image)
    assert np.array_equal(from_numbers(image.ravel().tolist(), image.shape), image)


@pytest.mark.parametrize("numbers", [None, "text", [[1], [1, 2]], [1e300] * 4, [float("nan")] * 4, [1] * 3, {}, [[[]]]])
def test_data_that_are_no_tensor_are_refused(numbers: Any) -> None:
    with pytest.raises(InvalidArgument), np.errstate(over="ignore"):
        from_numbers(numbers, (1, 1, 2, 2))


@pytest.mark.parametrize(
    "shape", [(), (0, 1, 2, 2), (9, 1, 2, 2), (1, 2, 2, 2), (1, 1, 2), (2**62, 1, 2, 2), (-1, 1, 2, 2)]
)
def test_other_shapes_are_refused_before_a_byte_is_looked_at(shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidArgument, match="the shape is"):
        require_form("image", "FP32", shape, (1, 2, 2), 8)


def test_only_the_logits_can_be_asked_for() -> None:
    require_outputs([("logits", {"binary_data"})])
    for name, parameters in (("mask", set()), ("logits", {"classification"}), ("logits", {"shared_memory_region"})):
        with pytest.raises(InvalidArgument):
            require_outputs([(name, parameters)])


@pytest.mark.parametrize(
    ("name", "version"), [("heart", ""), ("heart.post", ""), ("heart.segment", "one"), ("heart.segment", "9" * 40)]
)
def test_names_that_no_network_has_are_unknown(name: str, version: str) -> None:
    with pytest.raises(ModelUnknown):
        asked_for(name, version)


def test_a_name_that_is_a_path_is_refused() -> None:
    with pytest.raises(IrpError):
        asked_for("../etc.segment", "")
