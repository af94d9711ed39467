"""What you learn here: nothing is stored twice, nobody overwrites unseen work, an acceptance is told once."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import highdicom
import nats
import numpy as np
import pytest
from google.protobuf.message import Message
from irp.annotation.v1 import annotation_service_pb2 as pb
from irp.annotation.v1 import annotation_service_pb2_grpc as pb_grpc
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.common.v1.types_pb2 import Aggregate, ModelRef, ProjectRef
from irp.ingest.v1.events_pb2 import Series, SeriesStored
from irp.training.v1.events_pb2 import ContainerMaskProposed
from irp_annotation.adapters.db import METADATA
from irp_annotation.main import compose
from irp_annotation.settings import Settings
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.facts import fact_id, kind_of
from irp_chassis.room import Room
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import free_port
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import Volume, encode_mask, encode_volume
from irp_kernel.codec import NRRD
from nats.js.errors import Error

from .series import a_context, a_grid, a_mask

MIGRATIONS = "irp_annotation.adapters.migrations"
UID = "1.2.3.4"
GRID = a_grid()
CONFIGURATION = {
    "structures": [{"name": "pool", "canonical": "lv_blood_pool"}, {"name": "wall", "canonical": "lv_myocardium"}]
}


class Lives:
    """A living annotation room with one series in it."""

    def __init__(self, room: Room[Settings], client: RpcClient) -> None:
        self.room, self._client = room, client
        self.stub = pb_grpc.AnnotationServiceStub(client.channel)
        self.project = ProjectRef()

    async def ask(self, method: Any, request: Message, *, subject: str = "reader-1", role: str = "annotator") -> Any:
        act_as(Caller(subject=subject, project="demo", roles=frozenset({role})))
        return await self._client.call(method, request)

    async def put(self, body: bytes, kind: str) -> Any:
        ref = await self.room.objects.put(
            body, project="demo", entity="series", id=UID, kind=kind, media_type=NRRD, extension="x"
        )
        return object_ref_to_proto(ref)

    async def say(self, fact: Message) -> None:
        kind = kind_of(type(fact))
        client = await nats.connect(self.room.settings.nats_url)
        with contextlib.suppress(Error):
            await client.jetstream().add_stream(name=kind.stream, subjects=[f"irp.{kind.stream[4:].lower()}.v1.>"])
        headers = {"Nats-Msg-Id": fact_id(fact)}
        await client.jetstream().publish(kind.subject_of(fact), fact.SerializeToString(), headers=headers)
        await client.close()

    async def store(self, version: int = 1) -> None:
        """Tell of a series."""
        configuration = await self.put(json.dumps(CONFIGURATION).encode(), "configuration")
        self.project.CopyFrom(ProjectRef(id="demo", revision=1, configuration=configuration))
        array = np.full(GRID.geometry.array_shape, version, dtype=np.int16)
        volume = await self.put(encode_volume(Volume(geometry=GRID.geometry, array=array)), "volume")
        series = Series(series_uid=UID, patient="P-1", volume=volume)
        series.header.CopyFrom(await self.put(json.dumps(a_context(GRID).header).encode(), "header"))
        instances = json.dumps({"instances": [[place.uid for place in row] for row in GRID.instances]}).encode()
        series.instances.CopyFrom(await self.put(instances, "instances"))
        await self.say(SeriesStored(project=self.project, aggregate=Aggregate(id=UID, version=version), series=series))

    def wish(self, *, state: str = "draft", **more: Any) -> pb.CreateSegmentationRequest:
        body = encode_mask(a_mask(GRID))
        return pb.CreateSegmentationRequest(
            **{"project": self.project, "series_uid": UID, "media_type": NRRD, "body": body, "state": state, **more}
        )

    async def create(self, **more: Any) -> pb.Segmentation:
        return (await self.ask(self.stub.CreateSegmentation, self.wish(**more))).segmentation

    async def review(self, id: str, state: str, revision: int = 0) -> pb.Segmentation:
        request = pb.ReviewRequest(project=self.project, segmentation_id=id, state=state, revision=revision)
        return (await self.ask(self.stub.Review, request)).segmentation

    async def versions(self) -> list[tuple[int, str]]:
        request = pb.ListSegmentationsRequest(project=self.project, series_uid=UID)
        found = (await self.ask(self.stub.ListSegmentations, request)).segmentations
        return [(one.version, one.state) for one in found]

    async def accepted(self) -> list[MaskAccepted]:
        """Every MaskAccepted that was announced."""
        client = await nats.connect(self.room.settings.nats_url)
        subscription = await client.jetstream().subscribe("irp.annotation.v1.mask.accepted.>", ordered_consumer=True)
        found = []
        with contextlib.suppress(TimeoutError, nats.errors.TimeoutError):
            while True:
                found.append(MaskAccepted.FromString((await subscription.next_msg(timeout=1.5)).data))
        await client.close()
        return found


@pytest.fixture
async def lives(service_settings: ServiceSettings, minter: TokenMinter) -> AsyncIterator[Lives]:
    binds = {"rpc_bind": f"127.0.0.1:{free_port()}", "http_bind": f"127.0.0.1:{free_port()}"}
    settings = Settings(**(service_settings.model_dump() | binds))
    room, stop = Room("annotation", settings, METADATA), asyncio.Event()
    life = asyncio.create_task(room.live(compose, MIGRATIONS, stop))
    client = RpcClient(settings.rpc_bind, minter)
    async with asyncio.timeout(20):
        await client.channel.channel_ready()
    lives = Lives(room, client)
    await lives.store()
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(RemoteError):
                await lives.versions()
                break
            await asyncio.sleep(0.1)
    yield lives
    await client.close()
    stop.set()
    await asyncio.wait_for(life, 20)


async def test_the_same_mask_twice_is_one_version(lives: Lives) -> None:
    one, two = await lives.create(), await lives.create()
    assert one == two
    many = await asyncio.gather(*(lives.create(certainty=3) for _ in range(4)))
    assert {found.version for found in many} == {2}
    assert await lives.versions() == [(1, "draft"), (2, "draft")]


async def test_an_acceptance_is_announced_once(lives: Lives) -> None:
    first = await lives.create(state="accepted")
    await lives.create(state="accepted")
    await lives.review(first.id, "accepted")
    told = await lives.accepted()
    assert [(fact.aggregate.version, fact.segmentation_id) for fact in told] == [(1, first.id)]
    assert told[0].series.patient == "P-1"
    assert told[0].provenance.actor == "reader-1"
    assert {one.name: one.pairs for one in told[0].structures} == {one.name: one.annotated for one in first.structures}
    assert sum(one.pairs for one in told[0].structures) > 0


async def test_what_a_container_proposes_waits_for_a_reader_with_its_provenance(lives: Lives) -> None:
    keys = await lives.room.objects.keys(project="demo", entity="series", id=UID)
    mask = await lives.put(encode_mask(a_mask(GRID)), "proposal")
    (sha256,) = {key.rpartition("/")[2].partition(".")[0] for key in keys if "/volume/" in key}
    told = ContainerMaskProposed(project=lives.project, series_uid=UID, mask=mask, volume_sha256=sha256)
    told.aggregate.CopyFrom(Aggregate(id=f"{UID}/heart@1", version=1))
    told.provenance.model.CopyFrom(ModelRef(name="heart", version=1, digest="c" * 64))
    told.provenance.parameters["kind"] = "container"
    await lives.say(told)
    async with asyncio.timeout(20):
        while await lives.versions() != [(1, "proposed")]:
            await asyncio.sleep(0.05)
    request = pb.ListSegmentationsRequest(project=lives.project, series_uid=UID)
    (found,) = (await lives.ask(lives.stub.ListSegmentations, request)).segmentations
    assert (found.provenance.model.name, found.provenance.parameters["kind"]) == ("heart", "container")
    assert (await lives.review(found.id, "accepted")).state == "accepted"


async def test_a_draft_goes_through_review(lives: Lives) -> None:
    draft = await lives.create()
    submitted = await lives.review(draft.id, "submitted")
    with pytest.raises(RemoteError) as refused:
        await lives.review(draft.id, "accepted", revision=draft.revision)
    assert refused.value.reason == "NEWER_VERSION_EXISTS", "somebody else has reviewed it meanwhile"
    assert (await lives.review(draft.id, "accepted", revision=submitted.revision)).state == "accepted"
    with pytest.raises(RemoteError) as refused:
        await lives.review(draft.id, "rejected")
    assert refused.value.reason == "STATE_NOT_REACHABLE"
    assert len(await lives.accepted()) == 1


async def test_nobody_overwrites_what_they_have_not_seen(lives: Lives) -> None:
    await lives.create()
    await lives.create(certainty=2)
    with pytest.raises(RemoteError) as refused:
        await lives.create(certainty=1, based_on=1)
    assert refused.value.reason == "NEWER_VERSION_EXISTS"
    assert (await lives.create(certainty=1, based_on=2)).version == 3


async def test_an_accepted_mask_leaves_as_dicom_that_highdicom_reads(lives: Lives) -> None:
    made = await lives.create(state="accepted")
    request = pb.ExportRequest(project=lives.project, segmentation_id=made.id, media_type="application/dicom")
    answer = await lives.ask(lives.stub.Export, request, role="viewer")
    seg = highdicom.seg.segread(io.BytesIO(answer.body))
    assert seg.PatientID == "P-0123456789abcdef"
    assert answer.file_name == f"{UID}_v1.seg.dcm"


async def test_a_mask_drawn_on_an_older_volume_is_not_exported_onto_the_newer_one(lives: Lives) -> None:
    made = await lives.create()
    await lives.store(version=2)
    request = pb.ExportRequest(project=lives.project, segmentation_id=made.id, media_type="application/dicom")
    async with asyncio.timeout(15):
        with pytest.raises(RemoteError) as refused:
            while True:
                await lives.ask(lives.stub.Export, request)
                await asyncio.sleep(0.1)
    assert refused.value.reason == "VOLUME_MOVED_ON"
    assert (await lives.create()).id != made.id


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"body": encode_mask(a_mask(a_grid(slices=4)))}, "GEOMETRY_MISMATCH"),
        ({"body": b"not a mask"}, "BAD_VOLUME_FILE"),
        ({"media_type": "image/png"}, "UNSUPPORTED_MEDIA_TYPE"),
        ({"state": "proposed"}, "UNKNOWN_STATE"),
        ({"certainty": 4}, "INVALID_ARGUMENT"),
        ({"annotated": '{"stomach": []}'}, "UNKNOWN_STRUCTURE"),
        ({"annotated": '{"pool": [[0, 99]]}'}, "BAD_ANNOTATED"),
    ],
)
async def test_what_does_not_fit_stores_nothing(lives: Lives, wish: dict[str, Any], reason: str) -> None:
    with pytest.raises(RemoteError) as refused:
        await lives.create(**wish)
    assert refused.value.reason == reason
    assert await lives.versions() == []


async def test_a_viewer_draws_nothing(lives: Lives) -> None:
    with pytest.raises(RemoteError) as refused:
        await lives.ask(lives.stub.CreateSegmentation, lives.wish(), role="viewer")
    assert refused.value.reason == "PERMISSION_DENIED"
