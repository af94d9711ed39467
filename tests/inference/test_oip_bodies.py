"""What you learn here: whatever a body of the REST door claims to be, it is refused in words and costs little."""

from __future__ import annotations

import gzip
import json
import zlib
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from irp.oip import open_inference_pb2 as pb
from irp_inference.adapters.oip.bodies import document_of, images_in, split, unpack
from irp_inference.adapters.oip.forms import InferBody, read
from irp_inference.adapters.oip.messages import answer_of, from_bytes, packed_answer_of, shaped
from irp_inference.adapters.oip.nets import Nets
from irp_inference.adapters.oip.nets import split as split_name
from irp_kernel.errors import InvalidArgument, IrpError, ModelUnknown, TooLarge

LIMIT = 1 << 20


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_packed_bodies_come_out_whole_and_bombs_stop_at_the_limit(pack: Any) -> None:
    assert unpack(pack(b"{}"), LIMIT) == b"{}"
    assert len(unpack(pack(bytes(LIMIT)), LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        unpack(pack(bytes(LIMIT * 20)), LIMIT)
    for damaged in (pack(b"{}")[:-3], b"nonsense", pack(b"{}") + b"more"):
        with pytest.raises(InvalidArgument):
            unpack(damaged, LIMIT)


@pytest.mark.parametrize("length", ["-1", "3.0", "9" * 30, "100", "x"])
def test_a_wrong_length_of_the_json_is_refused(length: str) -> None:
    with pytest.raises(InvalidArgument):
        split(b"{}rest", length)


@pytest.mark.parametrize("text", [b"[]", b"{", b"\xff", b"[" * 100_000, b"1"])
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidArgument):
        document_of(text)


def test_json_and_bytes_are_told_apart() -> None:
    head = json.dumps({"id": "7"}).encode()
    found, tail = split(head + b"\0\1", str(len(head)))
    assert (document_of(found), bytes(tail)) == ({"id": "7"}, b"\0\1")


def given(**more: Any) -> InferBody:
    tensor = {"name": "image", "datatype": "FP32", "shape": [2, 1, 2, 2], **more}
    return read(InferBody, {"inputs": [tensor]})


def test_numbers_and_bytes_make_the_same_tensor() -> None:
    image = np.arange(8, dtype="<f4").reshape(2, 1, 2, 2)
    raw = image.tobytes()
    for data in (image.tolist(), image.ravel().tolist()):
        assert np.array_equal(images_in(given(data=data), memoryview(b"")), image)
    binary = given(parameters={"binary_data_size": len(raw)})
    assert np.array_equal(images_in(binary, memoryview(raw)), image)
    with pytest.raises(InvalidArgument):
        images_in(binary, memoryview(raw[:-1]))


@pytest.mark.parametrize("data", [None, "text", [[1], [1, 2]], [1] * 3, {}, [[[]]]])
def test_data_that_are_no_tensor_are_refused(data: Any) -> None:
    with pytest.raises(InvalidArgument):
        images_in(given(data=data), memoryview(b""))


@pytest.mark.parametrize("shape", [[], [0, 1, 2, 2], [9, 1, 2, 2], [1, 1, 2], [2**62, 1, 2, 2], [-1, 1, 2, 2]])
def test_shapes_that_the_numbers_do_not_fit_are_refused(shape: list[int]) -> None:
    with pytest.raises(InvalidArgument):
        shaped(np.zeros(8, np.float32), shape)
    with pytest.raises(InvalidArgument):
        from_bytes(bytes(32), shape)


@pytest.mark.parametrize("version", ["one", "-1", "1.0", "9" * 40, "\u0663"])
async def test_versions_that_cannot_be_are_unknown(version: str) -> None:
    nowhere: Any = SimpleNamespace(use=None)
    with pytest.raises(ModelUnknown):
        await Nets(nowhere, nowhere, nowhere).describe("heart.segment", version)


@pytest.mark.parametrize("name", ["heart", "heart.post", ".segment", "../etc.segment", ""])
def test_names_that_no_network_has_are_unknown(name: str) -> None:
    with pytest.raises((ModelUnknown, IrpError)):
        split_name(name)


def test_an_answer_packed_by_hand_is_the_message() -> None:
    logits = np.random.default_rng(0).normal(size=(2, 3, 5, 7)).astype(np.float32)
    request = pb.ModelInferRequest(model_name="heart.segment", id="7")
    assert pb.ModelInferResponse.FromString(packed_answer_of(request, 3, logits)) == answer_of(request, 3, logits)
