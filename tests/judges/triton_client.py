"""Every call of Triton's own clients once, unchanged; prints what it saw as JSON. Runs in .tools/judges.

python triton_client.py GRPC_ADDRESS HTTP_ADDRESS MODEL SIZE TOKEN
"""

import json
import queue
import sys

import numpy as np
import tritonclient.grpc as grpc
import tritonclient.http as http
from tritonclient.utils import InferenceServerException

grpc_address, http_address, model, size, token = sys.argv[1:]
side = int(size)
name = f"{model}.segment"
headers = {"authorization": f"Bearer {token}"}
seen = {}


def images(rows, seed=1):
    return np.random.default_rng(seed).normal(size=(rows, 1, side, side)).astype(np.float32)


def inputs_of(kind, array, **more):
    given = kind.InferInput("image", array.shape, "FP32")
    given.set_data_from_numpy(array, **more)
    return [given]


def refusal(call):
    try:
        call()
    except InferenceServerException as error:
        return str(error.message())
    return "not refused"


client = grpc.InferenceServerClient(grpc_address)
# The very first look shows that a loading server can be waited for.
seen["grpc_live"] = [client.is_server_live(headers=headers), client.is_server_ready(headers=headers)]
client.load_model(name, headers=headers)
seen["grpc_ready"] = [
    client.is_model_ready(n, headers=headers) for n in (name, f"{model}.locate", "nobody.segment", "x")
]
seen["grpc_server"] = client.get_server_metadata(headers=headers).name
metadata = client.get_model_metadata(name, headers=headers, as_json=True)
seen["grpc_metadata"] = [metadata["inputs"][0]["shape"], metadata["outputs"][0]["shape"]]
config = client.get_model_config(name, headers=headers).config
seen["grpc_config"] = [config.name, list(config.input[0].dims), list(config.output[0].dims)]
one = client.infer(name, inputs_of(grpc, images(2)), request_id="seven", headers=headers)
seen["grpc_infer"] = [list(one.as_numpy("logits").shape), one.get_response().id]
versioned = client.infer(name, inputs_of(grpc, images(2)), model_version="1", headers=headers)
seen["grpc_version"] = bool(np.array_equal(versioned.as_numpy("logits"), one.as_numpy("logits")))
answers = queue.Queue()
for _ in range(8):
    client.async_infer(
        name, inputs_of(grpc, images(1)), lambda result, error: answers.put((result, error)), headers=headers
    )
found = [answers.get(timeout=30) for _ in range(8)]
seen["grpc_async"] = all(
    error is None and np.allclose(r.as_numpy("logits"), one.as_numpy("logits")[:1], atol=1e-4) for r, error in found
)

client.start_stream(lambda result, error: answers.put((result, error)), headers=headers)
for number in range(6):
    wrong = np.zeros((1, 1, side, side + 1), np.float32)
    client.async_stream_infer(
        name, inputs_of(grpc, wrong if number == 3 else images(1, number)), request_id=str(number)
    )
stream = [answers.get(timeout=30) for _ in range(6)]
client.stop_stream()
seen["grpc_stream"] = [error.message() if error else result.get_response().id for result, error in stream]

statistics = client.get_inference_statistics(name, headers=headers).model_stats[0]
seen["grpc_statistics"] = [
    statistics.name,
    statistics.inference_count,
    statistics.inference_stats.success.count,
    statistics.inference_stats.fail.count,
    sum(batch.compute_infer.count for batch in statistics.batch_stats) == statistics.execution_count,
]
seen["grpc_index"] = [
    [m.name, m.version, m.state] for m in client.get_model_repository_index(headers=headers).models if m.name == name
]
large = 640 * 2**20 // (64 * side * side * 4) // 16  # tens of megabytes
big = client.infer(name, inputs_of(grpc, images(1).repeat(large, axis=0)), headers=headers).as_numpy("logits")
seen["grpc_large"] = [big.shape[0] == large, bool(np.allclose(big[-1], one.as_numpy("logits")[0], atol=1e-4))]

seen["grpc_refused"] = {
    "shared memory": refusal(lambda: client.register_system_shared_memory("r", "/k", 64, headers=headers)),
    "cuda memory": refusal(lambda: client.register_cuda_shared_memory("r", b"AA==", 0, 64, headers=headers)),
    "nan": refusal(
        lambda: client.infer(name, inputs_of(grpc, np.full((1, 1, side, side), np.nan, np.float32)), headers=headers)
    ),
    "channels": refusal(
        lambda: client.infer(name, inputs_of(grpc, np.zeros((1, 2, side, side), np.float32)), headers=headers)
    ),
    "empty": refusal(
        lambda: client.infer(name, inputs_of(grpc, np.zeros((0, 1, side, side), np.float32)), headers=headers)
    ),
    "unknown": refusal(lambda: client.infer("nobody.segment", inputs_of(grpc, images(1)), headers=headers)),
    "expired": refusal(lambda: client.infer(name, inputs_of(grpc, images(1)), timeout=1, headers=headers)),
    "output": refusal(
        lambda: client.infer(
            name, inputs_of(grpc, images(1)), outputs=[grpc.InferRequestedOutput("mask")], headers=headers
        )
    ),
    "config": refusal(lambda: client.load_model(name, config="{}", headers=headers)),
    "trace": refusal(lambda: client.update_trace_settings(settings={"trace_level": ["TIMESTAMPS"]}, headers=headers)),
    "no token": refusal(lambda: client.infer(name, inputs_of(grpc, images(1)))),
}
seen["grpc_regions"] = [
    len(client.get_system_shared_memory_status(headers=headers).regions),
    len(client.get_trace_settings(headers=headers).settings),
]

web = http.InferenceServerClient(http_address)
seen["http_live"] = [web.is_server_live(), web.is_server_ready(), web.is_model_ready(name, headers=headers)]
seen["http_server"] = web.get_server_metadata()["name"]
described = web.get_model_metadata(name, headers=headers)
seen["http_metadata"] = [described["inputs"][0]["shape"], described["outputs"][0]["shape"]]
seen["http_config"] = web.get_model_config(name, headers=headers)["max_batch_size"] > 0
for kind, asked in {
    "binary": {
        "inputs": inputs_of(http, images(2)),
        "outputs": [http.InferRequestedOutput("logits", binary_data=True)],
    },
    "json": {
        "inputs": inputs_of(http, images(2), binary_data=False),
        "outputs": [http.InferRequestedOutput("logits", binary_data=False)],
    },
    "gzip": {"inputs": inputs_of(http, images(2)), "request_compression_algorithm": "gzip"},
    "deflate": {"inputs": inputs_of(http, images(2)), "request_compression_algorithm": "deflate"},
}.items():
    # The client writes into the headers it is given: each call gets its own.
    answer = web.infer(name, **asked, request_id="eight", headers=dict(headers))
    seen[f"http_{kind}"] = bool(np.allclose(answer.as_numpy("logits"), one.as_numpy("logits"), atol=1e-3))
seen["http_statistics"] = web.get_inference_statistics(name, headers=headers)["model_stats"][0]["name"]
seen["http_all_statistics"] = len(web.get_inference_statistics(headers=headers)["model_stats"]) >= 2
seen["http_index"] = [
    [m["name"], m["state"]] for m in web.get_model_repository_index(headers=headers) if m["name"] == name
]
seen["http_refused"] = {
    "shape": refusal(
        lambda: web.infer(name, inputs_of(http, np.zeros((1, 1, 3, 3), np.float32)), headers=dict(headers))
    ),
    "shared memory": refusal(lambda: web.register_system_shared_memory("r", "/k", 64, headers=headers)),
    "no token": refusal(lambda: web.infer(name, inputs_of(http, images(1)))),
}
web.unload_model(name, headers=headers)
seen["unloaded"] = [client.is_model_ready(name, headers=headers), web.is_model_ready(name, headers=headers)]
web.load_model(name, headers=headers)
seen["loaded"] = client.is_model_ready(name, headers=headers)
sys.stdout.write(json.dumps(seen))
