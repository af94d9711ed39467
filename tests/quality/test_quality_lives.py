"""What you learn here: the room on the real parts: a stored series is assessed unasked, reported, rated, announced."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeVar

import httpx
import nats
import numpy as np
import pytest
from google.protobuf.message import Message
from irp.common.v1.types_pb2 import Aggregate, ProjectRef
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.ingest.v1.events_pb2 import Series, SeriesStored
from irp.quality.v1 import quality_service_pb2 as pb
from irp.quality.v1 import quality_service_pb2_grpc as pb_grpc
from irp.quality.v1.events_pb2 import QualityRated, SeriesAssessed
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.db import Database
from irp_chassis.facts import fact_id, kind_of
from irp_chassis.migrate import migrate
from irp_chassis.room import Room
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import Geometry, Volume, encode_volume
from irp_quality.adapters.db import METADATA, AssessmentRows
from irp_quality.main import compose
from irp_quality.settings import Settings
from nats.js.errors import Error
from sqlalchemy import inspect, select

MIGRATIONS = "irp_quality.adapters.migrations"
M = TypeVar("M", bound=Message)
UID = "1.2.826.0.1.7"
CONFIGURATION = {"name": "demo", "quality_form": [{"name": "motion", "type": "integer", "min": 1, "max": 5}]}


@pytest.fixture
async def room(service_settings: ServiceSettings, tmp_path: Path) -> AsyncIterator[Room[Settings]]:
    binds = {"rpc_bind": f"127.0.0.1:{free_port()}", "http_bind": f"127.0.0.1:{free_port()}"}
    settings = Settings(
        **(service_settings.model_dump() | binds | {"database_url": f"sqlite+aiosqlite:///{tmp_path}/q.db"})
    )
    room, stop = Room("quality", settings, METADATA), asyncio.Event()
    life = asyncio.create_task(room.live(compose, MIGRATIONS, stop))
    async with httpx.AsyncClient(base_url=f"http://{settings.http_bind}") as client, asyncio.timeout(20):
        while not life.done():
            try:
                if (await client.get("/readyz")).status_code == 200:
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)
    yield room
    stop.set()
    await asyncio.wait_for(life, 20)


def a_cine() -> Volume:
    rng = np.random.default_rng(3)
    clean = np.zeros((4, 3, 80, 80))
    clean[:, :, 15:65, 15:65] = 240
    array = np.hypot(clean + rng.normal(0, 6, clean.shape), rng.normal(0, 6, clean.shape))
    affine = ((0.0, 0.0, 1.4, 0.0), (0.0, 1.4, 0.0, 0.0), (8.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
    return Volume(geometry=Geometry(shape=(3, 80, 80), affine=affine, frames=4), array=array.astype(np.int16))


async def a_project(room: Room[Settings]) -> ProjectRef:
    ref = await room.objects.put(
        json.dumps(CONFIGURATION).encode(),
        project="demo",
        entity="project",
        id="demo",
        kind="configuration",
        media_type="application/json",
        extension="json",
    )
    return ProjectRef(id="demo", revision=1, configuration=object_ref_to_proto(ref))


async def a_stored_series(room: Room[Settings], version: int = 1) -> SeriesStored:
    ref = await room.objects.put(
        encode_volume(a_cine()),
        project="demo", entity="series", id=UID, kind="volume", media_type="application/x-nrrd", extension="nrrd",
    )  # fmt: skip
    series = Series(series_uid=UID, study_uid="1.2.3", patient="P-1", volume=object_ref_to_proto(ref), modality="MR")
    return SeriesStored(project=await a_project(room), aggregate=Aggregate(id=UID, version=version), series=series)


async def publish(room: Room[Settings], fact: Message) -> None:
    """Say a fact as its room would."""
    client = await nats.connect(room.settings.nats_url)
    context, kind = client.jetstream(), kind_of(type(fact))
    with contextlib.suppress(Error):
        await context.add_stream(name=kind.stream, subjects=[f"irp.{kind.stream[4:].lower()}.v1.>"])
    headers = {"Nats-Msg-Id": fact_id(fact)}
    await context.publish(kind.subject_of(fact), fact.SerializeToString(deterministic=True), headers=headers)
    await client.close()


async def announced(room: Room[Settings], message: type[M], count: int) -> list[M]:
    """The first facts of a kind that quality announced."""
    client = await nats.connect(room.settings.nats_url)
    subscription = await client.jetstream().subscribe(f"{kind_of(message).subject}.>", ordered_consumer=True)
    found = [message.FromString((await subscription.next_msg(timeout=15)).data) for _ in range(count)]
    await client.close()
    return found


async def test_a_stored_series_is_assessed_reported_rated_and_announced(
    room: Room[Settings], minter: TokenMinter
) -> None:
    stored = await a_stored_series(room)
    rows = AssessmentRows(room.database)
    await publish(room, ProjectConfigured(project=stored.project, aggregate=Aggregate(id="demo", version=1)))
    await publish(room, stored)
    client = RpcClient(room.settings.rpc_bind, minter)
    stub = pb_grpc.QualityServiceStub(client.channel)
    act_as(Caller(subject="reader-1", project="demo", roles=frozenset({"annotator"})))
    request = pb.GetReportRequest(project=stored.project, series_uid=UID)
    async with asyncio.timeout(30):
        while True:
            try:
                report = await client.call(stub.GetReport, request)
                break
            except RemoteError as error:
                assert error.reason == "SERIES_NOT_ASSESSED"  # noqa: PT017
                await asyncio.sleep(0.1)
    assert report.verdict == "good"
    assert report.parameters["noise"] == pytest.approx(6.0, rel=0.1)
    assert [one.slice for one in report.slices] == [0, 1, 2]
    document = json.loads(await room.objects.get((await rows.references())[0]))  # type: ignore[index]
    assert document["verdict"] == "good"

    rate = pb.RateRequest(project=stored.project, series_uid=UID, rater="reader-1", stars=4, form='{"motion": 2}')
    assert (await client.call(stub.Rate, rate)).version == 1
    assert (await client.call(stub.Rate, rate)).version == 1, "the same rating again is the same rating"
    rate.stars = 5
    assert (await client.call(stub.Rate, rate)).version == 2
    ratings = await client.call(stub.ListRatings, pb.ListRatingsRequest(project=stored.project, series_uid=UID))
    assert [(r.rater, r.stars, json.loads(r.form)) for r in ratings.ratings] == [("reader-1", 5, {"motion": 2})]
    for wrong, reason in (
        ({"form": '{"motion": 9}'}, "RATING_INVALID"),
        ({"form": "no json"}, "RATING_INVALID"),
        ({"rater": "somebody-else"}, "PERMISSION_DENIED"),
        ({"series_uid": "1.2.9"}, "SERIES_NOT_ASSESSED"),
    ):
        bad = pb.RateRequest()
        bad.CopyFrom(rate)
        for name, value in wrong.items():
            setattr(bad, name, value)
        with pytest.raises(RemoteError) as refused:
            await client.call(stub.Rate, bad)
        assert refused.value.reason == reason
    act_as(Caller(subject="stranger", project="other", roles=frozenset({"owner"})))
    with pytest.raises(RemoteError) as refused:
        await client.call(stub.GetReport, request)
    assert refused.value.reason == "PERMISSION_DENIED"
    await client.close()

    facts = await announced(room, SeriesAssessed, 1)
    assert [(f.verdict, f.series.patient, f.aggregate.version) for f in facts] == [("good", "P-1", 1)]
    rated = await announced(room, QualityRated, 2)
    assert [(f.stars, f.aggregate.version) for f in rated] == [(4, 1), (5, 2)]


async def test_an_older_volume_changes_nothing(room: Room[Settings]) -> None:
    rows = AssessmentRows(room.database)
    await rows.expect(await a_stored_series(room, version=2))
    await rows.expect(await a_stored_series(room, version=1))
    async with room.database.read() as connection:
        table = METADATA.tables["series"]
        assert (await connection.execute(select(table.c.version))).scalars().all() == [2]


async def test_migrations_make_exactly_the_declared_tables(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/m.db", METADATA)
    await migrate(database, MIGRATIONS)
    async with database.engine.connect() as connection:
        made = await connection.run_sync(
            lambda c: {t: {col["name"] for col in inspect(c).get_columns(t)} for t in inspect(c).get_table_names()}
        )
    made.pop("alembic_version")
    assert made == {name: set(table.columns.keys()) for name, table in METADATA.tables.items()}
    await database.close()
