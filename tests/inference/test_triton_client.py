"""What you learn here: Triton's own clients work unchanged, by gRPC and HTTP, and are told what is refused."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from irp_chassis.auth import OIP_AUDIENCE, Caller, TokenMinter
from irp_chassis.settings import ServiceSettings

from .room import World, a_volume, living, until_version

ROOT = Path(__file__).resolve().parents[2]
PYTHON, SCRIPT = ROOT / ".tools/judges/bin/python", ROOT / "tests/judges/triton_client.py"
ADMIN = Caller(subject="engineer", roles=frozenset({"admin"}))
SIZE = 32
SHAPES = [[-1, 1, SIZE, SIZE], [-1, 3, SIZE, SIZE]]


@pytest.fixture
async def seen(
    world: World, service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> tuple[str, dict[str, Any]]:
    """What the clients saw."""
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await world.promote(1, seed=1)
        await world.store(a_volume())
        await until_version(client, world, 1, slices=[0])
        token = minter.mint(ADMIN, audience=OIP_AUDIENCE, lifetime_s=600)
        addresses = (client.oip_bind, client.oip_http_bind)  # type: ignore[attr-defined]
        command = [str(PYTHON), str(SCRIPT), *addresses, world.model, str(SIZE), token]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        output, _ = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return f"{world.model}.segment", found


async def test_triton_clients_work_unchanged(seen: tuple[str, dict[str, Any]]) -> None:
    name, saw = seen
    assert saw["grpc_live"] == [True, True]
    assert saw["grpc_ready"] == [True, True, False, False]
    assert saw["grpc_server"] == saw["http_server"] == "openirp-inference"
    assert [[int(side) for side in shape] for shape in saw["grpc_metadata"]] == SHAPES
    assert saw["grpc_config"] == [name, [1, SIZE, SIZE], [3, SIZE, SIZE]]
    assert saw["grpc_infer"] == [[2, 3, SIZE, SIZE], "seven"]
    assert saw["grpc_version"]
    assert saw["grpc_async"]
    assert [one for number, one in enumerate(saw["grpc_stream"]) if number != 3] == ["0", "1", "2", "4", "5"]
    assert "TENSOR_NOT_USABLE" in saw["grpc_stream"][3]
    # A slice of four frames through `Segment`, 2 requests of 2 inputs, 8 and 5 of one; what was refused at the door
    # never was a request of the network's.
    assert saw["grpc_statistics"][:3] == [name, 4 + 2 * 2 + 8 + 5, 1 + 2 + 8 + 5]
    assert saw["grpc_statistics"][3:] == [0, True]
    assert saw["grpc_index"] == [[name, "1", "READY"]]
    assert saw["grpc_large"] == [True, True]
    assert saw["grpc_regions"] == [0, 0]
    assert saw["http_live"] == [True, True, True]
    assert saw["http_metadata"] == SHAPES
    assert saw["http_statistics"] == name
    assert saw["http_index"] == [[name, "READY"]]
    for kind in ("config", "binary", "json", "gzip", "deflate", "all_statistics"):
        assert saw[f"http_{kind}"], kind
    assert saw["unloaded"] == [False, False]
    assert saw["loaded"]
    said = {
        "shared memory": "send the tensor's bytes",
        "cuda memory": "send the tensor's bytes",
        "nan": "not finite",
        "channels": f"(1 to 4096, 1, {SIZE}, {SIZE})",
        "empty": "do not fit",
        "unknown": "model",
        "expired": "deadline",
        "output": "the output is called logits",
        "config": "registry",
        "trace": "operator",
        "no token": "token",
    }
    for what, words in said.items():
        assert words in saw["grpc_refused"][what].lower() or words in saw["grpc_refused"][what], what
    assert f"(1 to 4096, 1, {SIZE}, {SIZE})" in saw["http_refused"]["shape"]
    assert "send the tensor's bytes" in saw["http_refused"]["shared memory"]
    assert "token" in saw["http_refused"]["no token"]
