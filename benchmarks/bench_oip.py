"""What the Open Inference Protocol's doors cost: one client, one 128 x 128 image, over the engine in the same process.

    python benchmarks/bench_oip.py [ROUNDS]

Prints the p50 of each in ms, and its difference to the engine's. The doors live in a process of their own, as in
production; the clients are plain gRPC and HTTP/1.1 on a kept connection.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import torch
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from irp.oip import open_inference_pb2 as pb
from irp.oip import open_inference_pb2_grpc as pb_grpc
from irp_bundle import PipelineSteps, build_network, read_bundle, write_bundle
from irp_chassis.auth import OIP_AUDIENCE, Caller, TokenMinter
from irp_chassis.room import Room
from irp_chassis.testing.parts import free_port
from irp_inference.adapters.compute import OneByOne, Threads
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.engines import ThreadNets, build_engine
from irp_inference.adapters.oip_doors import open_doors
from irp_inference.adapters.oip_infer import Infer
from irp_inference.adapters.oip_statistics import CountedPasses
from irp_inference.adapters.shelf import Shelf
from irp_inference.adapters.shelf_repository import ShelfRepository
from irp_inference.app.ports import Loaded
from irp_inference.settings import Settings

NET = {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "channels": [16, 32, 64], "strides": [2, 2]}
IMAGE = np.random.default_rng(0).normal(size=(1, 1, 128, 128)).astype("<f4")
NAME = "heart.segment"


def a_model() -> Loaded:
    torch.manual_seed(0)
    segment, locate = {**NET, "out_channels": 3}, {**NET, "out_channels": 2}
    data = write_bundle(
        "heart",
        build_network(segment).state_dict(),
        build_network(locate).state_dict(),
        {
            "network_def": segment,
            "locate_def": locate,
            "irp_pipeline": {"locate": {"size": 128}, "segment": {"size": 128}},
        },
        {"structures": ["lv_blood_pool", "lv_myocardium"]},
        "Random weights.",
        "Apache-2.0",
    )
    bundle = read_bundle(data)
    nets = ThreadNets(build_engine(bundle, "auto", 1), bundle.weight_bytes)
    return Loaded(name="heart", version=1, digest="0" * 64, steps=PipelineSteps(bundle), nets=nets)


async def serve(settings: Settings, pipe: Connection, rounds: int) -> None:
    """The doors, with a model put on the shelf by hand: no other part is needed."""
    room, passes = Room("inference", settings, METADATA), CountedPasses()
    shelf, batches = Shelf(room.database, room.objects, engine="auto", threads=1, kept=4), OneByOne(64, passes)
    model = a_model()
    shelf._loaded["heart", 1], shelf._champions["heart"] = model, 1
    open_doors(room, Infer(shelf, batches, Threads(2)), ShelfRepository(room.database, shelf), passes)
    stopping = asyncio.Event()
    working = asyncio.create_task(batches.serve(stopping))
    web = asyncio.create_task(room._plan.webs[0].serve())
    await room._plan.servers[1].start()
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await model.nets.forward("segment", IMAGE)
        took.append(time.perf_counter() - began)
    pipe.send(statistics.median(took))
    await asyncio.to_thread(pipe.recv)
    web.cancel()
    working.cancel()


def live(settings: Settings, pipe: Connection, rounds: int) -> None:
    asyncio.run(serve(settings, pipe, rounds))


def p50(call: Callable[[], object], rounds: int) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return statistics.median(took[rounds // 10 :])


def by_grpc(address: str, token: str) -> Callable[[], Any]:
    stub = pb_grpc.GRPCInferenceServiceStub(grpc.insecure_channel(address))
    request = pb.ModelInferRequest(model_name=NAME, raw_input_contents=[IMAGE.tobytes()])
    request.inputs.add(name="image", datatype="FP32", shape=IMAGE.shape)
    headers = (("authorization", f"Bearer {token}"),)
    return lambda: stub.ModelInfer(request, metadata=headers, timeout=10)


def by_http(address: str, token: str) -> Callable[[], Any]:
    connection = http.client.HTTPConnection(address)
    raw = IMAGE.tobytes()
    tensor = {"name": "image", "datatype": "FP32", "shape": list(IMAGE.shape)}
    asked = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": len(raw)}}],
        "parameters": {"binary_data_output": True},
    }
    head = json.dumps(asked).encode()
    headers = {"Authorization": f"Bearer {token}", "Inference-Header-Content-Length": str(len(head))}

    def call() -> bytes:
        connection.request("POST", f"/v2/models/{NAME}/infer", head + raw, headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(body)
        return body

    return call


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    folder = Path(tempfile.mkdtemp())
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = folder / "public.pem"
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    token = TokenMinter(private).mint(Caller(subject="bench"), audience=OIP_AUDIENCE, lifetime_s=3600)
    settings = Settings(
        oip_bind=f"127.0.0.1:{free_port()}",
        oip_http_bind=f"127.0.0.1:{free_port()}",
        auth_public_key_file=public,
        database_url=f"sqlite+aiosqlite:///{folder}/r.db",
        log_level="warning",
    )
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=live, args=(settings, theirs, rounds), daemon=True)
    process.start()
    engine = ours.recv()
    doors = {
        "gRPC": by_grpc(settings.oip_bind, token),
        "REST, binary": by_http(settings.oip_http_bind, token),
    }
    sys.stdout.write(f"{'engine':<14}{engine * 1e3:7.2f} ms\n")
    for name, call in doors.items():
        took = p50(call, rounds)
        sys.stdout.write(f"{name:<14}{took * 1e3:7.2f} ms  {(took - engine) * 1e3:+.2f} ms\n")
    ours.send("enough")
    process.join(10)


if __name__ == "__main__":
    main()
