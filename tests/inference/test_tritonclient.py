"""What you learn here: Triton's own client, unchanged, calls everything it can by gRPC and by HTTP."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from grpc_health.v1 import health_pb2, health_pb2_grpc
from irp.oip import model_repository_pb2, model_repository_pb2_grpc
from irp_bundle import build_network, write_bundle
from irp_chassis.auth import OIP_AUDIENCE, Caller, TokenMinter, act_as
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings

from .test_the_room_answers import NET, WHO, World, a_volume, living, until_version, world  # noqa: F401

ROOT = Path(__file__).parents[2]
JUDGE = ROOT / ".tools/judges/triton/bin/python"
BIG_SLICES = 640  # of 128 x 128 float32: 42 MB
BOSS = Caller(subject="boss", roles=frozenset({"admin"}))


@pytest.fixture(scope="session")
def judge() -> Path:
    """Python of the environment that holds tritonclient; made once."""
    subprocess.run([ROOT / "scripts/install_judges.sh"], check=True, timeout=300)
    return JUDGE


def a_bundle_of_128() -> bytes:
    torch.manual_seed(3)
    segment, locate = {**NET, "out_channels": 3}, {**NET, "out_channels": 2}
    sizes = {"locate": {"size": 128}, "segment": {"size": 128}}
    return write_bundle(
        "heart",
        build_network(segment).state_dict(),
        build_network(locate).state_dict(),
        {"network_def": segment, "locate_def": locate, "irp_pipeline": sizes},
        {"structures": ["lv_blood_pool", "lv_myocardium"]},
        "A phantom's model.",
        "Apache-2.0",
    )


async def told_by(judge: Path, *arguments: str) -> dict[str, Any]:
    script = ROOT / "tests/judges/triton_client.py"
    process = await asyncio.create_subprocess_exec(judge, script, *arguments, stdout=-1, stderr=-1)
    said, trouble = await asyncio.wait_for(process.communicate(), 90)
    assert process.returncode == 0, trouble.decode()[-3000:]
    found: dict[str, Any] = json.loads(said.decode().splitlines()[-1])
    return found


async def mlservers_service_and_health_know_the_model(client: Any, minter: TokenMinter, model: str) -> None:
    oip = RpcClient(client.oip_bind, minter)
    act_as(BOSS)
    stub = model_repository_pb2_grpc.ModelRepositoryServiceStub(oip.channel)
    index = await oip.call(stub.RepositoryIndex, model_repository_pb2.RepositoryIndexRequest(ready=True))
    assert {(m.name, m.state) for m in index.models} == {(f"{model}.{net}", "READY") for net in ("locate", "segment")}
    health = health_pb2_grpc.HealthStub(oip.channel)
    async with asyncio.timeout(10):
        while True:  # it looks every two seconds
            answer = await health.Check(health_pb2.HealthCheckRequest(service=f"{model}.segment"))
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                break
            await asyncio.sleep(0.1)
    await oip.close()


REFUSALS = {
    "nan": "not finite",
    "shape refused": "the shape is (1 to 4096, 1, 128, 128)",
    "channel refused": "the shape is",
    "empty": "the shape is",
    "dtype": "takes FP32",
    "name": "called image",
    "output": "called logits",
    "classes": "classification is not offered",
    "region": "send raw_input_contents",
    "register system": "send raw_input_contents",
    "register cuda": "send raw_input_contents",
    "set trace": "IRP_TRACE_FILE",
    "set log": "IRP_LOG_LEVEL",
    "unknown": "model",
    "no token": "token",
    "load refused": "admin",
    "load config": "registry",
}
ANSWERS = {
    "live": True,
    "ready": True,
    "model ready": True,
    "version ready": True,
    "unknown ready": False,
    "server": "openirp-inference",
    "config": 4096,
    "system status": 0,
    "cuda status": 0,
    "id": "7",
    "shape": [2, 3, 128, 128],
    "same again": True,
    "locate": [2, 2, 128, 128],
    "big": [True, True],
    "async": True,
    "unloaded": [False, "UNAVAILABLE"],
    "loaded": [True, "READY"],
}


async def test_tritonclient_works_unchanged_by_grpc_and_by_http(
    judge: Path,
    world: World,  # noqa: F811
    service_settings: ServiceSettings,
    minter: TokenMinter,
    tmp_path: Path,
) -> None:
    tokens = [minter.mint(who, audience=OIP_AUDIENCE, lifetime_s=3600) for who in (WHO, BOSS)]
    async with living(service_settings, minter, tmp_path / "i.db", engine="torch") as client:
        await world.store(a_volume())
        await world.promote(1, bundle=a_bundle_of_128())
        await until_version(client, world, 1, slices=[0])
        doors = (client.oip_bind, client.oip_http_bind)  # type: ignore[attr-defined]
        seen = await told_by(judge, *doors, *tokens, world.model, str(BIG_SLICES))
        await mlservers_service_and_health_know_the_model(client, minter, world.model)
    for door in ("grpc", "http"):
        assert {name: seen[f"{door} {name}"] for name in ANSWERS} == ANSWERS
        for name, words in REFUSALS.items():
            assert words in seen[f"{door} {name}"], (door, name, seen[f"{door} {name}"])
        assert [t["datatype"] for t in seen[f"{door} model"]["inputs"]] == ["FP32"]
    in_order, errors = seen["grpc stream"]
    assert in_order
    assert len(errors) == 1
    counted, in_batches = seen["grpc statistics"]
    assert counted == in_batches >= BIG_SLICES
    for name in ("http as grpc", "http gzip", "http deflate", "http json", "http statistics", "grpc.aio", "http.aio"):
        assert seen[name] is True, name
