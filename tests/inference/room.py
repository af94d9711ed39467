"""A whole classification server in this process, and the other rooms' side of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import torch
from irp.common.v1 import types_pb2
from irp.inference.v1 import inference_service_pb2 as pb
from irp.inference.v1 import inference_service_pb2_grpc as pb_grpc
from irp.ingest.v1.events_pb2 import SeriesStored
from irp.training.v1.events_pb2 import ModelPromoted
from irp_bundle import build_network, write_bundle
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.facts import fact_id, kind_of
from irp_chassis.jetstream import JetStream
from irp_chassis.objects import S3Objects
from irp_chassis.room import Room
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_to_proto
from irp_inference.adapters.db import METADATA
from irp_inference.main import compose
from irp_inference.settings import Settings
from irp_kernel import Geometry, ObjectRef, Volume, encode_volume
from irp_kernel.codec import NRRD

NET = {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "channels": [4, 8], "strides": [2]}
WHO = Caller(subject="reader", project="demo", roles=frozenset({"annotator"}))


def a_bundle(seed: int) -> bytes:
    torch.manual_seed(seed)
    segment, locate = {**NET, "out_channels": 3}, {**NET, "out_channels": 2}
    small = {"locate": {"size": 32}, "segment": {"size": 32}}
    return write_bundle(
        "heart",
        build_network(segment).state_dict(),
        build_network(locate).state_dict(),
        {"network_def": segment, "locate_def": locate, "irp_pipeline": small},
        {"structures": ["lv_blood_pool", "lv_myocardium"]},
        "A phantom's model.",
        "Apache-2.0",
    )


def a_volume() -> Volume:
    geometry = Geometry(shape=(3, 48, 40), affine=tuple(map(tuple, np.diag([8.0, 1.4, 1.4, 1.0]))), frames=4)
    return Volume(geometry=geometry, array=np.random.default_rng(0).normal(100, 20, geometry.array_shape))


class World:
    """The other rooms' side: objects in the store, facts in their streams."""

    def __init__(self, settings: ServiceSettings) -> None:
        # streams outlive a test: what it says must be its own
        self.uid, self.model = f"2.25.{uuid.uuid4().int}", f"heart-{uuid.uuid4().hex[:8]}"
        self.objects = S3Objects("irp-world", settings)
        self.streams = {room: JetStream(room, settings) for room in ("ingest", "training")}

    async def begin(self) -> None:
        await self.objects.ensure_bucket()
        await asyncio.gather(*(stream.connect() for stream in self.streams.values()))

    async def put(self, data: bytes) -> ObjectRef:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type=NRRD, extension="bin"
        )

    async def say(self, room: str, fact: Any) -> None:
        subject = kind_of(type(fact)).subject_of(fact)
        await self.streams[room].publish(subject, fact.SerializeToString(), message_id=fact_id(fact), traceparent="")

    async def store(self, volume: Volume) -> None:
        fact = SeriesStored(project=a_project())
        fact.aggregate.id, fact.aggregate.version = self.uid, 1
        fact.series.series_uid, fact.series.sequence_class = self.uid, "cine-sax"
        fact.series.shape.extend(volume.array.shape)
        fact.series.volume.CopyFrom(object_ref_to_proto(await self.put(encode_volume(volume))))
        await self.say("ingest", fact)

    async def promote(self, version: int, seed: int) -> None:
        ref = await self.put(a_bundle(seed))
        fact = ModelPromoted(name=self.model, bundle=object_ref_to_proto(ref))
        fact.aggregate.id, fact.aggregate.version = self.model, version
        fact.model.name, fact.model.version, fact.model.digest = self.model, version, ref.sha256
        await self.say("training", fact)

    async def end(self) -> None:
        await asyncio.gather(*(stream.close() for stream in self.streams.values()))


def a_project() -> types_pb2.ProjectRef:
    ref = types_pb2.ObjectRef(bucket="irp-gateway", key="k", sha256="0" * 64, size=1, media_type="application/json")
    return types_pb2.ProjectRef(id="demo", revision=1, configuration=ref)


@asynccontextmanager
async def living(
    settings: ServiceSettings, minter: TokenMinter, database: Path, **more: Any
) -> AsyncIterator[RpcClient]:
    own = Settings(
        **settings.model_dump()
        | {
            "rpc_bind": f"127.0.0.1:{free_port()}",
            "http_bind": f"127.0.0.1:{free_port()}",
            "oip_bind": f"127.0.0.1:{free_port()}",
            "oip_http_bind": f"127.0.0.1:{free_port()}",
            "engine_cache": database.parent.parent / "engine-cache",  # one export for all tests
            "database_url": f"sqlite+aiosqlite:///{database}",
        }
        | more
    )
    room, stop = Room("inference", own, METADATA), asyncio.Event()
    life = asyncio.create_task(room.live(compose, "irp_inference.adapters.migrations", stop))
    client = RpcClient(own.rpc_bind, minter)
    client.oip_bind, client.oip_http_bind = own.oip_bind, own.oip_http_bind  # type: ignore[attr-defined]
    try:
        async with httpx.AsyncClient(base_url=f"http://{own.http_bind}") as http, asyncio.timeout(30):
            while True:
                try:
                    if (await http.get("/readyz")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        yield client
    finally:
        await client.close()
        stop.set()
        await asyncio.wait_for(life, 30)


async def segment(client: RpcClient, world: World, **asked: Any) -> pb.SegmentResponse:
    act_as(WHO)
    stub = pb_grpc.InferenceServiceStub(client.channel)
    request = pb.SegmentRequest(project=a_project(), series_uid=world.uid, **{"model": world.model, **asked})
    answer: pb.SegmentResponse = await client.call(stub.Segment, request)
    return answer


async def until_version(client: RpcClient, world: World, version: int, **asked: Any) -> pb.SegmentResponse:
    async with asyncio.timeout(60):
        while True:
            try:
                answer = await segment(client, world, **asked)
                if answer.provenance.model.version == version:
                    return answer
            except RemoteError as error:
                if error.reason not in {"MODEL_UNKNOWN", "SERIES_UNKNOWN"}:
                    raise
            await asyncio.sleep(0.05)
