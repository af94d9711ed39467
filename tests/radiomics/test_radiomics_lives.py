"""What you learn here: the room on the real parts: an accepted mask becomes rows, function, table and picture."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from google.protobuf.message import Message
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.common.v1.types_pb2 import Aggregate, ProjectRef
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import ClinicalRecorded, Series, SeriesStored
from irp.radiomics.v1 import radiomics_service_pb2 as pb
from irp.radiomics.v1 import radiomics_service_pb2_grpc as pb_grpc
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.room import Room
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import Mask, Volume, encode_mask, encode_volume
from irp_radiomics.adapters.db import METADATA
from irp_radiomics.adapters.events import Facts
from irp_radiomics.main import compose
from irp_radiomics.settings import Settings
from PIL import Image

from .phantom import a_grid, a_heart

MIGRATIONS = "irp_radiomics.adapters.migrations"
PATIENTS = {"P-one": "1.2.3.1", "P-two": "1.2.3.2"}


class Lives:
    """A living radiomics room, the facts it is told, and a caller at its door."""

    def __init__(self, room: Room[Settings], client: RpcClient, project: ProjectRef) -> None:
        self.room, self._client, self.project = room, client, project
        self.stub = pb_grpc.RadiomicsServiceStub(client.channel)
        self.facts = Facts(room.database, room.objects)

    async def ask(self, method: Any, request: Message) -> Any:
        act_as(Caller(subject="scientist-1", project="demo", roles=frozenset({"owner"})))
        return await self._client.call(method, request)

    async def put(self, body: bytes, kind: str, uid: str) -> Any:
        ref = await self.room.objects.put(
            body,
            project="demo",
            entity="series",
            id=uid,
            kind=kind,
            media_type="application/x-nrrd",
            extension="nrrd",
        )
        return object_ref_to_proto(ref)

    async def accept(self, uid: str, patient: str, volume: Volume, mask: Mask, version: int = 1) -> None:
        series = Series(series_uid=uid, patient=patient, volume=await self.put(encode_volume(volume), "volume", uid))
        at = Aggregate(id=uid, version=version)
        if version == 1:
            await self.facts.on_series_stored(SeriesStored(project=self.project, aggregate=at, series=series))
        put = await self.put(encode_mask(mask), "mask", uid)
        await self.facts.on_mask_accepted(MaskAccepted(project=self.project, aggregate=at, series=series, mask=put))

    async def table(self) -> pd.DataFrame:
        answer = await self.ask(
            self.stub.GetFeatures, pb.GetFeaturesRequest(project=self.project, media_type="text/csv")
        )
        return pd.read_csv(io.BytesIO(answer.body), keep_default_na=False)

    async def extracted(self, name: str) -> pb.Extraction:
        request = pb.StartExtractionRequest(project=self.project, request_id=name)
        await self.ask(self.stub.StartExtraction, request)
        get = pb.GetExtractionRequest(project=self.project, extraction_id=name)
        async with asyncio.timeout(60):
            while True:
                found = (await self.ask(self.stub.GetExtraction, get)).extraction
                if found.state in {"succeeded", "failed"}:
                    return found
                await asyncio.sleep(0.1)


@pytest.fixture
async def lives(service_settings: ServiceSettings, minter: TokenMinter) -> AsyncIterator[Lives]:
    binds = {"rpc_bind": f"127.0.0.1:{free_port()}", "http_bind": f"127.0.0.1:{free_port()}"}
    settings = Settings(**(service_settings.model_dump() | binds))
    room, stop = Room("radiomics", settings, METADATA), asyncio.Event()
    life = asyncio.create_task(room.live(compose, MIGRATIONS, stop))
    client = RpcClient(settings.rpc_bind, minter)
    async with asyncio.timeout(20):
        await client.channel.channel_ready()
    ref = await room.objects.put(
        b'{"name": "demo"}',
        project="demo",
        entity="project",
        id="demo",
        kind="configuration",
        media_type="application/json",
        extension="json",
    )
    yield Lives(room, client, ProjectRef(id="demo", revision=1, configuration=object_ref_to_proto(ref)))
    await client.close()
    stop.set()
    await asyncio.wait_for(life, 20)


async def test_two_accepted_masks_become_a_table_and_a_picture(lives: Lives) -> None:
    for seed, (patient, uid) in enumerate(PATIENTS.items()):
        await lives.accept(uid, patient, *a_heart(a_grid(turn_deg=90 * seed), seed=seed))
    recorded = ClinicalRecorded(project=lives.project, patient="P-one", aggregate=Aggregate(id="P-one", version=1))
    recorded.values["nt_probnp"], recorded.categories["group"] = 830.0, "myocarditis"
    await lives.facts.on_clinical_recorded(recorded)
    done = await lives.extracted("first")
    assert (done.state, done.series, done.progress.fraction) == ("succeeded", 2, 1.0)

    table = await lives.table()
    assert set(table["patient"]) == set(PATIENTS)
    assert set(table["roi_kind"]) == {"aha", "structure"}
    assert table.groupby("patient")["roi"].nunique().eq(17 + 3).all()
    assert (table["mask_sha256"].str.len() == 64).all()
    assert table["pyradiomics_version"].eq("3.0.1").all()
    for media_type, read in (("application/json", pd.read_json), ("application/vnd.apache.parquet", pd.read_parquet)):
        asked = pb.GetFeaturesRequest(project=lives.project, media_type=media_type)
        same = read(io.BytesIO((await lives.ask(lives.stub.GetFeatures, asked)).body))
        assert len(same) == len(table)

    asked = pb.GetHeatmapRequest(project=lives.project, media_type="application/json", features=20)
    heatmap = json.loads((await lives.ask(lives.stub.GetHeatmap, asked)).body)
    assert np.array(heatmap["z"]).shape == (34, len(heatmap["features"]))
    columns = {column["name"]: column["values"] for column in heatmap["clinical"]}
    owners = [row["patient"] for row in heatmap["rows"]]
    assert columns["nt_probnp"] == [830.0 if owner == "P-one" else None for owner in owners]
    asked.media_type = "image/png"
    with Image.open(io.BytesIO((await lives.ask(lives.stub.GetHeatmap, asked)).body)) as picture:
        assert min(picture.size) > 400
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50, "the picture is not blank"


async def test_a_corrected_mask_replaces_what_was_extracted(lives: Lives) -> None:
    volume, mask = a_heart(a_grid())
    await lives.accept("1.2.3.1", "P-one", volume, mask)
    await lives.extracted("one")
    before = await lives.table()
    _, smaller = a_heart(a_grid(), right_ventricle=False)
    await lives.accept("1.2.3.1", "P-one", volume, smaller, version=2)
    with pytest.raises(RemoteError) as refused:
        await lives.table()
    assert refused.value.reason == "NO_FEATURES_YET", "features of the older mask are not the newer one's"
    await lives.extracted("two")
    after = await lives.table()
    assert set(before["mask_version"]) == {1}
    assert set(after["mask_version"]) == {2}
    assert set(after["roi_kind"]) == {"sector", "structure"}


async def test_a_proposal_that_shows_the_septum_makes_aha_segments_of_sectors(lives: Lives) -> None:
    volume, alone = a_heart(a_grid(), right_ventricle=False)
    await lives.accept("1.2.3.1", "P-one", volume, alone)
    await lives.extracted("one")
    assert "sector" in set((await lives.table())["roi_kind"])
    proposal = await lives.put(encode_mask(a_heart(a_grid())[1]), "proposal", "1.2.3.1")
    stored = await lives.put(encode_volume(volume), "volume", "1.2.3.1")
    fact = MaskProposed(project=lives.project, series_uid="1.2.3.1", mask=proposal, volume_sha256=stored.sha256)
    fact.provenance.at = "2026-01-01T00:00:00Z"
    await lives.facts.on_mask_proposed(fact)
    await lives.extracted("two")
    table = await lives.table()
    assert "aha" in set(table["roi_kind"])
    assert set(table["septum"]) == {"proposed mask"}


async def test_a_mask_of_another_grid_is_counted_and_stops_nothing(lives: Lives) -> None:
    volume, mask = a_heart(a_grid())
    await lives.accept("1.2.3.1", "P-one", volume, a_heart(a_grid(turn_deg=30))[1])
    await lives.accept("1.2.3.2", "P-two", volume, mask)
    done = await lives.extracted("both")
    assert (done.state, done.series) == ("succeeded", 1)
    assert done.reason == "GEOMETRY_MISMATCH (1 of 2 series)"


def another(lives: Lives) -> ProjectRef:
    """A project that the caller's token is not for."""
    return ProjectRef(id="other", revision=1, configuration=lives.project.configuration)


Refused = Callable[[Lives], Awaitable[Any]]


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        (lambda v: v.table(), "NO_FEATURES_YET"),
        (
            lambda v: v.ask(v.stub.GetExtraction, pb.GetExtractionRequest(project=v.project, extraction_id="x")),
            "EXTRACTION_UNKNOWN",
        ),
        (
            lambda v: v.ask(v.stub.GetHeatmap, pb.GetHeatmapRequest(project=v.project, media_type="text/html")),
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        (lambda v: v.ask(v.stub.GetFeatures, pb.GetFeaturesRequest(project=another(v))), "PERMISSION_DENIED"),
    ],
)
async def test_what_cannot_be_answered_says_why(lives: Lives, ask: Refused, reason: str) -> None:
    with pytest.raises(RemoteError) as refused:
        await ask(lives)
    assert refused.value.reason == reason
