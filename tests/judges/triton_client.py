"""Every call of tritonclient once, by gRPC and HTTP. Runs in .tools/judges/triton; prints what it saw as JSON.

python triton_client.py GRPC HTTP TOKEN ADMIN_TOKEN MODEL BIG_SLICES
"""

from __future__ import annotations

import asyncio
import json
import queue
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc as by_grpc
import tritonclient.grpc.aio as by_grpc_aio
import tritonclient.http as by_http
import tritonclient.http.aio as by_http_aio
from tritonclient.utils import InferenceServerException

GRPC, HTTP, TOKEN, ADMIN, MODEL, BIG = sys.argv[1:7]
NET, SIZE = f"{MODEL}.segment", 128
WHO, BOSS = ({"authorization": f"Bearer {token}"} for token in (TOKEN, ADMIN))
IMAGE = np.random.default_rng(1).normal(size=(2, 1, SIZE, SIZE)).astype(np.float32)
seen: dict[str, Any] = {}


def fresh() -> dict[str, str]:
    """The HTTP client writes lengths and encodings into the headers it is given: each call gets its own."""
    return {"authorization": f"Bearer {TOKEN}"}


def tensor(door: Any, image: np.ndarray, datatype: str = "FP32", name: str = "image") -> list[Any]:
    given = door.InferInput(name, list(image.shape), datatype)
    given.set_data_from_numpy(image)
    return [given]


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except InferenceServerException as error:
        return error.message()
    return "NOT REFUSED"


def descriptions(door: str, client: Any, as_dict: Callable[[Any], Any]) -> None:
    seen[f"{door} live"] = client.is_server_live(headers=WHO)
    seen[f"{door} ready"] = client.is_server_ready(headers=WHO)
    seen[f"{door} model ready"] = client.is_model_ready(NET, headers=WHO)
    seen[f"{door} version ready"] = client.is_model_ready(NET, "1", headers=WHO)
    seen[f"{door} unknown ready"] = client.is_model_ready("nobody.segment", headers=WHO)
    seen[f"{door} server"] = as_dict(client.get_server_metadata(headers=WHO))["name"]
    seen[f"{door} model"] = as_dict(client.get_model_metadata(NET, "1", headers=WHO))
    config = as_dict(client.get_model_config(NET, headers=WHO))
    seen[f"{door} config"] = config.get("config", config)["max_batch_size"]
    seen[f"{door} unknown"] = refused(lambda: client.get_model_metadata("nobody.segment", headers=WHO))
    seen[f"{door} no token"] = refused(lambda: client.get_model_metadata(NET))
    seen[f"{door} trace"] = as_dict(client.get_trace_settings(headers=WHO))
    seen[f"{door} log"] = as_dict(client.get_log_settings(headers=WHO))
    seen[f"{door} set trace"] = refused(lambda: client.update_trace_settings(settings={"trace_rate": "1"}, headers=WHO))
    seen[f"{door} set log"] = refused(lambda: client.update_log_settings({"log_info": True}, headers=WHO))


def shared_memory(door: str, client: Any) -> None:
    for kind in ("system", "cuda"):
        status = getattr(client, f"get_{kind}_shared_memory_status")(headers=WHO)
        seen[f"{door} {kind} status"] = len(getattr(status, "regions", status))
        getattr(client, f"unregister_{kind}_shared_memory")(headers=WHO)
    seen[f"{door} register system"] = refused(lambda: client.register_system_shared_memory("r", "/r", 4, headers=WHO))
    seen[f"{door} register cuda"] = refused(
        lambda: client.register_cuda_shared_memory("r", b"aGFuZGxl", 0, 4, headers=WHO)
    )


def repository(door: str, client: Any, index: Callable[[], list[Any]]) -> None:
    seen[f"{door} load refused"] = refused(lambda: client.load_model(NET, headers=WHO))
    seen[f"{door} load config"] = refused(lambda: client.load_model(NET, headers=BOSS, config="{}"))
    client.unload_model(NET, headers=BOSS)
    seen[f"{door} unloaded"] = [client.is_model_ready(NET, headers=WHO), *index()]
    client.load_model(NET, headers=BOSS)
    seen[f"{door} loaded"] = [client.is_model_ready(NET, headers=WHO), *index()]


def answers(door: str, of: Any, client: Any) -> np.ndarray:
    def ask(image: np.ndarray = IMAGE, net: str = NET, version: str = "", **more: Any) -> Any:
        given = tensor(of, image, more.pop("datatype", "FP32"), more.pop("name", "image"))
        return client.infer(net, given, model_version=version, headers=fresh(), **more)

    first = ask(request_id="7", priority=1, timeout=5_000_000, sequence_id=3, sequence_start=True)
    logits: np.ndarray = first.as_numpy("logits")
    head = first.get_response()
    seen[f"{door} id"] = head["id"] if isinstance(head, dict) else head.id
    seen[f"{door} shape"] = list(logits.shape)
    wanted = ask(outputs=[of.InferRequestedOutput("logits")], version="1").as_numpy("logits")
    seen[f"{door} same again"] = bool(np.array_equal(wanted, logits))
    seen[f"{door} locate"] = list(ask(net=f"{MODEL}.locate").as_numpy("logits").shape)
    bad = IMAGE.copy()
    bad[0, 0, 0, 0] = np.nan
    seen[f"{door} nan"] = refused(lambda: ask(bad))
    seen[f"{door} shape refused"] = refused(lambda: ask(IMAGE[:, :, :64]))
    seen[f"{door} channel refused"] = refused(lambda: ask(np.repeat(IMAGE, 2, axis=1)))
    seen[f"{door} empty"] = refused(lambda: ask(IMAGE[:0]))
    seen[f"{door} dtype"] = refused(lambda: ask(IMAGE.astype(np.float16), datatype="FP16"))
    seen[f"{door} name"] = refused(lambda: ask(name="picture"))
    seen[f"{door} output"] = refused(lambda: ask(outputs=[of.InferRequestedOutput("mask")]))
    seen[f"{door} classes"] = refused(lambda: ask(outputs=[of.InferRequestedOutput("logits", class_count=2)]))
    seen[f"{door} region"] = refused(lambda: client.infer(NET, [region(of)], headers=WHO))
    big = np.tile(IMAGE, (int(BIG) // 2, 1, 1, 1))
    many = ask(big).as_numpy("logits")
    seen[f"{door} big"] = [big.nbytes >= 40_000_000, bool(np.abs(many[-2:] - logits).max() < 1e-3)]
    return logits


def region(of: Any) -> Any:
    given = of.InferInput("image", list(IMAGE.shape), "FP32")
    given.set_shared_memory("r", IMAGE.nbytes)
    return given


def stream(client: by_grpc.InferenceServerClient, logits: np.ndarray) -> None:
    told: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: told.put((result, error)), headers=WHO)
    for number in range(12):
        image = IMAGE if number != 5 else IMAGE[:, :, :64]
        client.async_stream_infer(NET, tensor(by_grpc, image), request_id=str(number))
    order, errors = [], []
    for number in range(12):
        result, error = told.get(timeout=20)
        order.append(str(number) if error else result.get_response().id)
        errors += [error.message()] if error else []
    client.stop_stream()
    seen["grpc stream"] = [order == [str(n) for n in range(12)], errors]


def with_grpc() -> np.ndarray:
    client = by_grpc.InferenceServerClient(GRPC)
    descriptions("grpc", client, by_grpc_json)
    shared_memory("grpc", client)
    logits = answers("grpc", by_grpc, client)
    told: queue.Queue[Any] = queue.Queue()
    client.async_infer(NET, tensor(by_grpc, IMAGE), lambda result, error: told.put((result, error)), headers=WHO)
    result, error = told.get(timeout=20)
    seen["grpc async"] = error is None and bool(np.array_equal(result.as_numpy("logits"), logits))
    stream(client, logits)
    one = client.get_inference_statistics(NET, "1", headers=WHO).model_stats[0]
    seen["grpc statistics"] = [one.inference_count, sum(b.batch_size * b.compute_infer.count for b in one.batch_stats)]
    seen["grpc all statistics"] = len(client.get_inference_statistics(headers=WHO).model_stats)

    def index() -> list[Any]:
        found = client.get_model_repository_index(headers=WHO).models
        return [model.state for model in found if model.name == NET]

    repository("grpc", client, index)
    client.close()
    return logits


def by_grpc_json(message: Any) -> Any:
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, preserving_proto_field_name=True)


def with_http(logits: np.ndarray) -> None:
    client = by_http.InferenceServerClient(HTTP, network_timeout=60, connection_timeout=60)
    descriptions("http", client, lambda found: found)
    shared_memory("http", client)
    other = answers("http", by_http, client)
    seen["http as grpc"] = bool(np.array_equal(other, logits))
    seen["http async"] = bool(
        np.array_equal(
            client.async_infer(NET, tensor(by_http, IMAGE), headers=fresh()).get_result().as_numpy("logits"), logits
        )
    )
    for packing in ("gzip", "deflate"):
        packed = client.infer(
            NET,
            tensor(by_http, IMAGE),
            headers=fresh(),
            request_compression_algorithm=packing,
            response_compression_algorithm=packing,
        )
        seen[f"http {packing}"] = bool(np.array_equal(packed.as_numpy("logits"), logits))
    given = by_http.InferInput("image", list(IMAGE.shape), "FP32")
    given.set_data_from_numpy(IMAGE, binary_data=False)
    asked = [by_http.InferRequestedOutput("logits", binary_data=False)]
    text = client.infer(NET, [given], outputs=asked, headers=fresh()).as_numpy("logits")
    seen["http json"] = bool(np.allclose(text, logits, atol=1e-5))
    one = client.get_inference_statistics(NET, "1", headers=WHO)["model_stats"][0]
    seen["http statistics"] = one["inference_count"] > 0
    repository(
        "http", client, lambda: [m["state"] for m in client.get_model_repository_index(headers=WHO) if m["name"] == NET]
    )
    client.close()


async def with_asyncio(logits: np.ndarray) -> None:
    grpc_client = by_grpc_aio.InferenceServerClient(GRPC)
    answer = await grpc_client.infer(NET, tensor(by_grpc_aio, IMAGE), headers=fresh())
    seen["grpc.aio"] = bool(np.array_equal(answer.as_numpy("logits"), logits))
    await grpc_client.close()
    http_client = by_http_aio.InferenceServerClient(HTTP)
    answer = await http_client.infer(NET, tensor(by_http_aio, IMAGE), headers=fresh())
    seen["http.aio"] = bool(np.array_equal(answer.as_numpy("logits"), logits))
    await http_client.close()


logits = with_grpc()
with_http(logits)
asyncio.run(with_asyncio(logits))
sys.stdout.write(json.dumps(seen))
