"""One network, the same OpenVINO float32 files, behind our server and behind others, in one run.

    benchmarks/peers/install.sh; python benchmarks/bench_servers.py [ROUNDS [SECONDS]]

For each server: the p50 of one client over the bare forward pass in this process, and the rates of 8 and of 32 clients
over the bare rate of batches of 8; medians over the rounds with the smallest and the largest, p95 beside them. The
servers take turns in each round. Clients are threads of a process of their own, on the same cores. JSON goes to
out/bench/servers.json.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import openvino as ov
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc
from irp_bundle import PipelineSteps, read_bundle
from irp_chassis.auth import OIP_AUDIENCE, Caller, TokenMinter, TokenVerifier
from irp_chassis.rpc import RpcServer
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.engines import Engines
from irp_inference.adapters.export import export_bundle
from irp_inference.adapters.oip.grpc_door import OpenInference
from irp_inference.adapters.oip.nets import Nets
from irp_inference.adapters.oip.rest_door import create_rest
from irp_inference.app.ports import Loaded

ROOT = Path(__file__).resolve().parents[1]
PEERS = ROOT / ".tools/peers/bin/python"
BUNDLE = ROOT / "models" / "cine.zip"
NAME = "cine.segment"
CLIENTS = (1, 8, 32)
HEADER = "Inference-Header-Content-Length"

Ask = Callable[[], None]


class OneModel:
    """A shelf of one loaded model: the room's own doors, batches and processes, without its stores."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @contextmanager
    def _held(self) -> Iterator[Loaded]:
        yield self._loaded

    def use(self, name: str, version: int | None) -> Any:
        """Always the one."""
        held = self._held()

        class Used:
            async def __aenter__(self) -> Loaded:
                return held.__enter__()

            async def __aexit__(self, *error: object) -> None:
                held.__exit__(None, None, None)

        return Used()

    async def choice(self, name: str, series_uid: str) -> Any:
        """Always the one."""
        return self._loaded


def ours(grpc_port: int, http_port: int, folder: str, ready: Any) -> None:
    """Our doors, in a process of their own."""
    import uvicorn

    async def live() -> None:
        data = BUNDLE.read_bytes()
        bundle = read_bundle(data)
        engines, batches = Engines(cache=Path(folder)), DynamicBatches()
        nets = await engines.open(data, bundle)
        loaded = Loaded(name="cine", version=1, digest=bundle.digest, steps=PipelineSteps(bundle), nets=nets)
        doors = Nets(OneModel(loaded), batches)  # type: ignore[arg-type]
        key = Path(folder) / "public.pem"
        settings = ServiceSettings(auth_public_key_file=key, log_level="error")
        server = RpcServer(settings, bind=f"127.0.0.1:{grpc_port}", audiences=[OIP_AUDIENCE])
        server.add(pb_grpc.add_GRPCInferenceServiceServicer_to_server, OpenInference(doors, "bench"))
        await server.start()
        rest = create_rest(doors, TokenVerifier.from_file(key, [OIP_AUDIENCE]), "bench", 1 << 30)
        ready.set()
        await uvicorn.Server(uvicorn.Config(rest, port=http_port, log_config=None, access_log=False)).serve()

    asyncio.run(live())


def grpc_ask(port: int, token: str, image: np.ndarray[Any, Any]) -> Ask:
    """One question by gRPC."""
    limit = [("grpc.max_receive_message_length", -1)]
    stub = pb_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(f"127.0.0.1:{port}", limit))
    request = pb.ModelInferRequest(model_name=NAME, raw_input_contents=[image.tobytes()])
    request.inputs.add(name="image", datatype="FP32", shape=image.shape)
    metadata = (("authorization", f"Bearer {token}"),)
    return lambda: _bytes(stub.ModelInfer(request, metadata=metadata).raw_output_contents[0])


def rest_ask(port: int, token: str, image: np.ndarray[Any, Any]) -> Ask:
    """One question by REST with binary tensors."""
    raw = image.tobytes()
    given = {"name": "image", "datatype": "FP32", "shape": image.shape, "parameters": {"binary_data_size": len(raw)}}
    head = json.dumps({"inputs": [given], "parameters": {"binary_data_output": True}}).encode()
    headers = {"Authorization": f"Bearer {token}", HEADER: str(len(head))}
    return _http(port, f"/v2/models/{NAME}/infer", head + raw, headers)


def litserve_ask(port: int, image: np.ndarray[Any, Any]) -> Ask:
    """One question to LitServe; its answer is unpacked as ours is."""
    body = json.dumps({"data": base64.b64encode(image.tobytes()).decode(), "shape": image.shape}).encode()
    return _http(port, "/predict", body, {"Content-Type": "application/json"}, base64_inside=True)


def _http(port: int, path: str, body: bytes, headers: dict[str, str], *, base64_inside: bool = False) -> Ask:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask() -> None:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {data[:200]!r}")
        _bytes(base64.b64decode(json.loads(data)["data"]) if base64_inside else data[-4 * 4 :])

    return ask


def _bytes(raw: bytes) -> None:
    np.frombuffer(raw, "<f4")


def clients(kind: str, arguments: tuple[Any, ...], count: int, seconds: float, answer: Any) -> None:
    """Closed-loop clients in threads of this process; the milliseconds of every answer."""
    make: dict[str, Callable[..., Ask]] = {"grpc": grpc_ask, "rest": rest_ask, "litserve": litserve_ask}
    times: list[float] = []
    begin = threading.Barrier(count)

    def one() -> None:
        ask = make[kind](*arguments)
        ask()
        begin.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            began = time.perf_counter()
            ask()
            times.append((time.perf_counter() - began) * 1000)

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answer.put(times)


def measured(kind: str, arguments: tuple[Any, ...], count: int, seconds: float) -> dict[str, float]:
    """Rate, p50 and p95 of some clients."""
    context = multiprocessing.get_context("spawn")
    answer = context.Queue()
    process = context.Process(target=clients, args=(kind, arguments, count, seconds, answer))
    process.start()
    times = answer.get(timeout=seconds * 4 + 60)
    process.join()
    p50, p95 = np.percentile(times, [50, 95])
    return {"rate": len(times) / seconds, "p50_ms": float(p50), "p95_ms": float(p95)}


def bare(net: Any, image: np.ndarray[Any, Any], seconds: float) -> dict[str, float]:
    """The forward pass and nothing around it: p50 of one, inputs per second of batches of eight."""
    eight, times = np.repeat(image, 8, axis=0), []
    until = time.perf_counter() + seconds / 2
    while time.perf_counter() < until:
        began = time.perf_counter()
        net(image)
        times.append((time.perf_counter() - began) * 1000)
    passes, began = 0, time.perf_counter()
    while time.perf_counter() < began + seconds / 2:
        net(eight)
        passes += 1
    return {"p50_ms": statistics.median(times), "rate_8": 8 * passes / (time.perf_counter() - began)}


def interval(values: list[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": round(statistics.median(values), 3), "min": round(min(values), 3), "max": round(max(values), 3)}


def a_token(folder: Path) -> str:
    """A key pair in the folder, and a token that it signs."""
    key = Ed25519PrivateKey.generate()
    (folder / "public.pem").write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return TokenMinter(private).mint(Caller(subject="bench"), audience=OIP_AUDIENCE, lifetime_s=7200)


def wait_until(ask: Callable[[], Ask]) -> None:
    """Until a server answers."""
    until = time.monotonic() + 120
    while True:
        try:
            return ask()()
        except (OSError, http.client.HTTPException, grpc.RpcError, RuntimeError):
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


def main() -> None:
    """Run and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 4.0
    size = read_bundle(BUNDLE.read_bytes()).spec.segment.size
    image = np.random.default_rng(0).normal(size=(1, 1, size, size)).astype("<f4")
    with tempfile.TemporaryDirectory() as folder:
        found = run(Path(folder), image, rounds, seconds)
    out = ROOT / "out" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    (out / "servers.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))


def run(folder: Path, image: np.ndarray[Any, Any], rounds: int, seconds: float) -> dict[str, Any]:
    """Start every server, let them take turns, stop them."""
    token, context = a_token(folder), multiprocessing.get_context("spawn")
    digest = read_bundle(BUNDLE.read_bytes()).digest
    xml = Path(export_bundle(str(BUNDLE), str(folder), digest, 1 << 30)) / "segment.xml"
    ports, ready = [free_port() for _ in range(3)], context.Event()
    server = context.Process(target=ours, args=(ports[0], ports[1], str(folder), ready))
    server.start()
    ready.wait(180)
    servers: dict[str, tuple[str, tuple[Any, ...]]] = {
        "ours, gRPC": ("grpc", (ports[0], token, image)),
        "ours, REST": ("rest", (ports[1], token, image)),
    }
    peer = None
    if PEERS.exists():
        script = ROOT / "benchmarks/peers/litserve_server.py"
        peer = subprocess.Popen([PEERS, script, str(xml), str(ports[2])], stdout=sys.stderr)
        wait_until(lambda: litserve_ask(ports[2], image))
        servers["LitServe"] = ("litserve", (ports[2], image))
    options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    net = ov.Core().compile_model(xml, "CPU", options)
    try:
        return compare(servers, net, image, rounds, seconds)
    finally:
        server.kill()
        if peer:
            subprocess.run(["pkill", "-P", str(peer.pid)], check=False)
            peer.kill()


def compare(
    servers: dict[str, tuple[str, tuple[Any, ...]]], net: Any, image: np.ndarray[Any, Any], rounds: int, seconds: float
) -> dict[str, Any]:
    """All rounds."""
    ratios: dict[str, dict[str, list[float]]] = {name: {} for name in servers}
    bares: list[dict[str, float]] = []
    for number in range(rounds):
        bares.append(bare(net, image, seconds))
        for name, (kind, arguments) in servers.items():
            for count in CLIENTS:
                said = measured(kind, arguments, count, seconds)
                kept = ratios[name]
                if count == 1:
                    kept.setdefault("p50 over bare", []).append(said["p50_ms"] / bares[-1]["p50_ms"])
                    kept.setdefault("p50 minus bare, ms", []).append(said["p50_ms"] - bares[-1]["p50_ms"])
                else:
                    kept.setdefault(f"rate of {count} over bare", []).append(said["rate"] / bares[-1]["rate_8"])
                kept.setdefault(f"p95 of {count}, ms", []).append(said["p95_ms"])
        sys.stderr.write(f"round {number + 1} of {rounds}\n")
    return {
        "rounds": rounds,
        "bare_p50_ms": interval([one["p50_ms"] for one in bares]),
        "bare_rate_of_batches_of_8": interval([one["rate_8"] for one in bares]),
        **{name: {what: interval(values) for what, values in kept.items()} for name, kept in ratios.items()},
    }


if __name__ == "__main__":
    main()
