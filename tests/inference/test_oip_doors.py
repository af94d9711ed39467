"""What you learn here: the doors take what the network takes, and refuse the rest in the protocol's own words."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc.aio import AioRpcError
from irp.oip import open_inference_pb2 as pb
from irp_inference.adapters.oip.bodies import HEADER_LENGTH

from .oip_doors import LIMIT, NAME, SHAPE, Doors, a_body, a_request, images, open_doors

INFER = f"/v2/models/{NAME}/infer"
NUMBERS = images().size
SECRET = "a name that nobody may read"


@pytest.fixture
async def doors(key_files: tuple[Path, Path]) -> AsyncIterator[Doors]:
    async with open_doors(key_files) as doors:
        yield doors


async def test_a_network_with_three_axes_is_asked_by_grpc(doors: Doors) -> None:
    described = await doors.stub.ModelMetadata(pb.ModelMetadataRequest(name=NAME))
    assert list(described.inputs[0].shape) == [-1, *SHAPE]
    answer = await doors.stub.ModelInfer(a_request())
    assert list(answer.outputs[0].shape) == [2, *SHAPE]
    logits = np.frombuffer(answer.raw_output_contents[0], "<f4").reshape(2, *SHAPE)
    assert np.array_equal(logits, 2 * images())
    with pytest.raises(AioRpcError) as refused:
        await doors.stub.ModelInfer(a_request(array=images()[:, :, 0]))
    assert "(1 to 4096, 1, 4, 16, 16)" in (refused.value.details() or "")


async def test_a_network_with_three_axes_is_asked_by_rest(doors: Doors) -> None:
    described = (await doors.http.get(f"/v2/models/{NAME}")).json()
    assert described["inputs"][0]["shape"] == [-1, *SHAPE]
    (numbers,) = (await doors.http.post(INFER, json=a_body())).json()["outputs"]
    assert (numbers["shape"], numbers["data"]) == ([2, *SHAPE], (2 * images()).ravel().tolist())
    raw, (given,) = images().astype("<f4").tobytes(), a_body()["inputs"]
    del given["data"]
    head = json.dumps({"inputs": [{**given, "parameters": {"binary_data_size": len(raw)}}]}).encode()
    answer = await doors.http.post(INFER, content=head + raw, headers={HEADER_LENGTH: str(len(head))})
    assert answer.json()["outputs"] == [numbers]


def with_input(**more: Any) -> dict[str, Any]:
    body = a_body()
    return body | {"inputs": [body["inputs"][0] | more]}


BODIES: dict[str, Any] = {
    "priority that is text": a_body(parameters={"priority": "high"}),
    "priority that is a list": a_body(parameters={"priority": [1]}),
    "priority below zero": a_body(parameters={"priority": -1}),
    "priority without end": a_body(parameters={"priority": float("inf")}),
    "timeout that is text": a_body(parameters={"timeout": "soon"}),
    "timeout that is a list": a_body(parameters={"timeout": [1]}),
    "timeout that no number holds": a_body(parameters={"timeout": 10**400}),
    "timeout that is no number": a_body(parameters={"timeout": float("nan")}),
    "parameters that are a list": a_body(parameters=[1]),
    "binary output that is a number": a_body(parameters={"binary_data_output": 7}),
    "outputs that are a number": a_body(outputs=5),
    "outputs without names": a_body(outputs=[1]),
    "output parameters that are a list": a_body(outputs=[{"name": "logits", "parameters": [1]}]),
    "id that is a list": a_body(id=[1]),
    "id that no text holds": a_body(id="\ud800"),
    "no input": {},
    "two inputs": {"inputs": a_body()["inputs"] * 2},
    "inputs that are an object": {"inputs": {"0": 1}},
    "an input that is a number": {"inputs": [1]},
    "input parameters that are a number": with_input(parameters=5),
    "bytes that are text": with_input(parameters={"binary_data_size": "many"}),
    "a side without end": with_input(shape=[float("inf"), *SHAPE]),
    "a side that no number holds": with_input(shape=[10**400, *SHAPE]),
    "no shape": with_input(shape=None),
    "too many axes": with_input(shape=[1] * 9),
    "too few axes": with_input(shape=[2, 1, 4, 256]),
    "a number that no float holds": with_input(data=[10**400] * NUMBERS),
    "a number that float32 does not hold": with_input(data=[1e39] * NUMBERS),
    "data that are text": with_input(data="numbers"),
    "data of objects": with_input(data=[{}] * NUMBERS),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_a_body_that_is_not_understood_is_an_error_of_the_protocol(doors: Doors, body: Any) -> None:
    answer = await doors.http.post(INFER, content=json.dumps(body))
    assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text
    assert doors.nets.passes == []
    assert (await doors.http.post(INFER, json=a_body())).status_code == 200


async def test_a_body_of_chunks_that_grows_beyond_the_limit_is_not_read_on(doors: Doors) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 64 * LIMIT:
            sent += 1 << 16
            yield bytes(1 << 16)

    answer = await doors.http.post(INFER, content=endless())
    assert (answer.status_code, answer.json()["error"][:9]) == (413, "TOO_LARGE")
    assert sent <= LIMIT + (2 << 16)
    assert (await doors.http.post(INFER, content=bytes(LIMIT + 1))).status_code == 413


async def test_a_refusal_says_where_and_not_what(doors: Doors) -> None:
    answer = await doors.http.post(INFER, json=a_body(parameters={"priority": SECRET}))
    assert "parameters.priority" in answer.json()["error"]
    assert SECRET not in answer.text


NOT_UNDERSTOOD = [("index", {"ready": "perhaps"}), (f"models/{NAME}/load", {"parameters": 5})]


@pytest.mark.parametrize(("path", "body"), NOT_UNDERSTOOD)
async def test_the_repository_refuses_what_it_does_not_understand(doors: Doors, path: str, body: Any) -> None:
    answer = await doors.http.post(f"/v2/repository/{path}", json=body)
    assert (answer.status_code, list(answer.json())) == (400, ["error"]), answer.text


async def test_an_unknown_address_is_an_error_of_the_protocol_too(doors: Doors) -> None:
    for answer in (await doors.http.get("/v2/nothing"), await doors.http.get(INFER)):
        assert answer.status_code in {404, 405}
        assert list(answer.json()) == ["error"]


async def test_null_is_as_if_it_were_not_said(doors: Doors) -> None:
    nothing = a_body(id=None, parameters={"priority": None, "timeout": None}, outputs=None)
    assert (await doors.http.post(INFER, json=nothing)).status_code == 200
    assert (await doors.http.post(INFER, json=a_body(parameters={"priority": "2", "other": [1]}))).status_code == 200


def shaped(*sides: int) -> pb.ModelInferRequest:
    request = a_request("wrong")
    request.inputs[0].shape[:] = sides
    return request


REQUESTS: dict[str, pb.ModelInferRequest] = {
    "priority that is text": a_request("wrong", priority=pb.InferParameter(string_param="high")),
    "priority below zero": a_request("wrong", priority=pb.InferParameter(int64_param=-1)),
    "priority without end": a_request("wrong", priority=pb.InferParameter(double_param=float("inf"))),
    "timeout that is text": a_request("wrong", timeout=pb.InferParameter(string_param="soon")),
    "timeout that is no number": a_request("wrong", timeout=pb.InferParameter(double_param=float("nan"))),
    "a sequence": a_request("wrong", sequence_id=pb.InferParameter(string_param="s")),
    "no axes": shaped(),
    "too many axes": shaped(*[1] * 9),
    "too few axes": shaped(2, 1, 4, 256),
    "sides below zero": shaped(-2, -1, *SHAPE[1:]),
    "sides whose product is too large": shaped(2**62, 2**62, *SHAPE[1:]),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_request_that_is_not_understood_is_refused_and_its_stream_goes_on(
    doors: Doors, request_: pb.ModelInferRequest
) -> None:
    with pytest.raises(AioRpcError) as refused:
        await doors.stub.ModelInfer(request_)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    before, wrong, after = await doors.stream([a_request("before"), request_, a_request("after")])
    assert (before.infer_response.id, after.infer_response.id) == ("before", "after")
    assert not before.error_message
    assert not after.error_message
    assert wrong.error_message.startswith(("INVALID_ARGUMENT: ", "TENSOR_NOT_USABLE: "))
    assert wrong.infer_response.id == "wrong"


async def test_what_nobody_foresaw_tells_nothing_of_itself_and_ends_no_stream(doors: Doors) -> None:
    doors.nets.fail = lambda inputs: RuntimeError(SECRET) if inputs.flat[0] == 0 else None
    broken = a_request("wrong", np.zeros((1, *SHAPE), np.float32))
    with pytest.raises(AioRpcError) as failed:
        await doors.stub.ModelInfer(broken)
    assert failed.value.code() is grpc.StatusCode.INTERNAL
    wrong, after = await doors.stream([broken, a_request("after")])
    assert (wrong.infer_response.id, wrong.error_message[:10]) == ("wrong", "INTERNAL: ")
    assert (after.infer_response.id, after.error_message) == ("after", "")
    answer = await doors.http.post(INFER, json=with_input(shape=[1, *SHAPE], data=[0.0] * (NUMBERS // 2)))
    assert (answer.status_code, list(answer.json())) == (500, ["error"])
    for said in (failed.value.details(), wrong.error_message, answer.text):
        assert SECRET not in (said or "")


async def test_a_stream_whose_message_cannot_be_read_ends_instead_of_waiting_for_ever(doors: Doors) -> None:
    raw: Any = doors.channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        request_serializer=bytes,
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )
    call = raw(timeout=20)
    await call.write(a_request("before").SerializeToString())
    await call.write(b"\xff\xff\xff")  # and the sender keeps its side open
    assert (await call.read()).infer_response.id == "before"
    with pytest.raises(AioRpcError) as ended:
        await call.read()
    assert ended.value.code() is grpc.StatusCode.INTERNAL
