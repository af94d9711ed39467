"""One question to each kind of server, as cheaply as its client can put it; every answer ends as a float32 array."""

from __future__ import annotations

import base64
import http.client
import io
import json
from collections.abc import Callable
from typing import Any, TypedDict

import grpc
import numpy as np
from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc

HEADER = "Inference-Header-Content-Length"
LIMIT = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

Image = np.ndarray[Any, Any]
Ask = Callable[[], Image]


class Question(TypedDict):
    """What a client asks, as it is told to another process.

    Attributes:
        kind: of server, a key of KINDS.
        port: where it listens, on this host.
        image: path of a saved array (1, 1, size, size), float32.
        more: what its kind takes besides: model and token.
    """

    kind: str
    port: int
    image: str
    more: list[str]


def ask_of(question: Question) -> Ask:
    """A client with a connection of its own."""
    return KINDS[question["kind"]](question["port"], np.load(question["image"]), *question["more"])


def grpc_ask(port: int, image: Image, model: str, token: str) -> Ask:
    """The Open Inference Protocol by gRPC, raw bytes."""
    request = pb.ModelInferRequest(model_name=model, raw_input_contents=[image.tobytes()])
    request.inputs.add(name="image", datatype="FP32", shape=image.shape)
    infer = pb_grpc.GRPCInferenceServiceStub(_channel(port)).ModelInfer
    metadata = (("authorization", f"Bearer {token}"),)
    return lambda: np.frombuffer(infer(request, metadata=metadata).raw_output_contents[0], "<f4")


def bytes_ask(port: int, image: Image, model: str) -> Ask:
    """The same protocol with tensors as BYTES, which MLServer's codec likes best."""
    request = pb.ModelInferRequest(model_name=model)
    given = request.inputs.add(name="image", datatype="BYTES", shape=[1, 1])
    given.contents.bytes_contents.append(image.tobytes())
    infer = pb_grpc.GRPCInferenceServiceStub(_channel(port)).ModelInfer
    return lambda: np.frombuffer(infer(request).outputs[0].contents.bytes_contents[0], "<f4")


def rest_ask(port: int, image: Image, model: str, token: str) -> Ask:
    """The protocol by REST with Triton's binary tensors."""
    raw = image.tobytes()
    given = {"name": "image", "datatype": "FP32", "shape": image.shape, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Authorization": f"Bearer {token}", HEADER: str(len(head))}
    ask = _http(port, f"/v2/models/{model}/infer", head + raw, headers)

    def array() -> Image:
        data, said = ask()
        return np.frombuffer(data, "<f4", offset=int(said[HEADER]))

    return array


def litserve_ask(port: int, image: Image) -> Ask:
    """JSON with base64, for LitServe reads JSON or forms."""
    body = json.dumps({"data": base64.b64encode(image.tobytes()).decode(), "shape": image.shape}).encode()
    ask = _http(port, "/predict", body, {"Content-Type": "application/json"})
    return lambda: np.frombuffer(base64.b64decode(json.loads(ask()[0])["data"]), "<f4")


def bentoml_ask(port: int, image: Image) -> Ask:
    """JSON with base64, for BentoML's binary form is for its own services only."""
    body = json.dumps({"images": [base64.b64encode(image.tobytes()).decode()]}).encode()
    ask = _http(port, "/predict", body, {"Content-Type": "application/json"})
    return lambda: np.frombuffer(base64.b64decode(json.loads(ask()[0])[0]), "<f4")


def monailabel_ask(port: int, image: Image) -> Ask:
    """A form with a file, answered by a file."""
    file = io.BytesIO()
    np.save(file, image)
    head = 'Content-Disposition: form-data; name="file"; filename="image.npy"\r\nContent-Type: application/octet-stream'
    body = f"--irp\r\n{head}\r\n\r\n".encode() + file.getvalue() + b"\r\n--irp--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=irp"}
    ask = _http(port, "/infer/network?output=image", body, headers)
    return lambda: np.load(io.BytesIO(ask()[0]))


KINDS: dict[str, Callable[..., Ask]] = {
    "grpc": grpc_ask,
    "bytes": bytes_ask,
    "rest": rest_ask,
    "litserve": litserve_ask,
    "bentoml": bentoml_ask,
    "monailabel": monailabel_ask,
}


def _channel(port: int) -> grpc.Channel:
    # a connection of its own for each client, as clients elsewhere have
    return grpc.insecure_channel(f"127.0.0.1:{port}", [*LIMIT, ("grpc.use_local_subchannel_pool", 1)])


def _http(port: int, path: str, body: bytes, headers: dict[str, str]) -> Callable[[], tuple[bytes, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask() -> tuple[bytes, Any]:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {data[:200]!r}")
        return data, answer.headers

    return ask
