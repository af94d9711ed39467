"""What you learn here: what an operator says about serving reaches the room as a fact, and survives a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from irp.inference.v1 import serving_service_pb2 as pb
from irp.inference.v1 import serving_service_pb2_grpc as pb_grpc
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.verdicts import RemoteError

from .room import WHO, World, a_volume, living, segment, until_version

ADMIN = Caller(subject="engineer", roles=frozenset({"admin"}))


async def until_loaded(client: RpcClient, world: World, roles: dict[int, str]) -> None:
    stub = pb_grpc.ServingServiceStub(client.channel)
    async with asyncio.timeout(60):
        while True:
            act_as(ADMIN)
            answer = await client.call(stub.ListVersions, pb.ListVersionsRequest())
            if {v.model.version: v.role for v in answer.versions if v.model.name == world.model} == roles:
                return
            await asyncio.sleep(0.05)


async def test_a_canary_answers_and_a_restart_remembers_it(
    world: World, service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await world.store(a_volume())
        for version in (1, 2):
            await world.promote(version, seed=version)
        await until_version(client, world, 2, slices=[0], frames=[0])
        stub = pb_grpc.ServingServiceStub(client.channel)
        asked = pb.ConfigureServingRequest(
            name=world.model, serving=pb.Serving(canary=pb.Share(version=1, percent=100)), actor="engineer"
        )
        act_as(WHO)
        with pytest.raises(RemoteError) as refused:
            await client.call(stub.ConfigureServing, asked)
        assert refused.value.reason == "PERMISSION_DENIED"
        act_as(ADMIN)
        assert (await client.call(stub.ConfigureServing, asked)).revision == 1
        await until_version(client, world, 1, slices=[1], frames=[0])
        unknown = pb.ConfigureServingRequest(name=world.model, serving=pb.Serving(pin=9))
        act_as(ADMIN)
        with pytest.raises(RemoteError) as refused:
            await client.call(stub.ConfigureServing, unknown)
        assert refused.value.reason == "MODEL_UNKNOWN"
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await until_loaded(client, world, {1: "canary", 2: "champion"})
        assert (await segment(client, world, slices=[2], frames=[0])).provenance.model.version == 1
        stub = pb_grpc.ServingServiceStub(client.channel)
        act_as(ADMIN)
        said = await client.call(stub.GetServing, pb.GetServingRequest(name=world.model))
        assert (said.champion, said.serving.canary.version, said.answers[1]) == (2, 1, 1)
        await world.promote(3, seed=3)  # what was tried has been decided: the next champion answers every series
        await until_version(client, world, 3, slices=[2], frames=[0])
        act_as(ADMIN)
        said = await client.call(stub.GetServing, pb.GetServingRequest(name=world.model))
        assert (said.champion, said.serving.HasField("canary"), said.revision) == (3, False, 2)
