"""What you learn here: what may name somebody waits, encrypted, until a person decides; and what each decision does."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import S3Part
from irp_chassis.verdicts import RemoteError
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRLittleEndian

from . import conftest
from .conftest import SECRETS, Door, a_short_axis_series, an_image, living_ingest, to_bytes

TEXT = bytes(range(200, 240))  # what somebody wrote into the pixels, row by row
REGION = {"x": 8, "y": 4, "width": 40, "height": 3}


def a_capture(seed: int = 0, text: bytes = TEXT, **attributes: Any) -> Dataset:
    """A secondary capture with planted bytes in its pixels."""
    ds = an_image(np.random.default_rng(seed).integers(0, 99, (32, 64)))
    ds.SOPClassUID, ds.Modality, ds.ConversionType = "1.2.840.10008.5.1.4.1.1.7", "OT", "WSD"
    pixels = np.random.default_rng(seed).integers(0, 99, (32, 64)).astype(np.uint8)
    pixels[4:7, 8:48] = np.frombuffer(text, np.uint8)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelData = 8, 8, 7, pixels.tobytes()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def as_role(*roles: str, subject: str = "curator-1") -> None:
    act_as(Caller(subject=subject, project="hearts", roles=frozenset(roles)))


async def quarantine(door: Door, state: str = "", **page: Any) -> list[pb.QuarantinedInstance]:
    as_role("curator")
    request = pb.ListQuarantineRequest(project=door.project, state=state, **({"limit": 100} | page))
    return list((await door.client.call(door.stub.ListQuarantine, request)).items)


async def decide(door: Door, id: str, action: str, *regions: dict[str, int]) -> pb.QuarantinedInstance:
    asked = pb.DecideQuarantinedRequest(project=door.project, id=id, action=action)
    asked.regions.extend(pb.PixelRegion(**region) for region in regions)
    return (await door.client.call(door.stub.DecideQuarantined, asked)).item


async def shown(door: Door, id: str, frame: int = 0) -> pb.GetQuarantinedResponse:
    asked = pb.GetQuarantinedRequest(project=door.project, id=id, preview=True, frame=frame)
    answer: pb.GetQuarantinedResponse = await door.client.call(door.stub.GetQuarantined, asked)
    return answer


async def carried_out(door: Door, id: str) -> pb.QuarantinedInstance:
    """The row once nothing is left to be done."""
    async with asyncio.timeout(30):
        while True:
            asked = pb.GetQuarantinedRequest(project=door.project, id=id)
            item = (await door.client.call(door.stub.GetQuarantined, asked)).item
            if not item.state.endswith("ing") or item.state == "waiting":
                return item
            await asyncio.sleep(0.05)


async def upload_one(door: Door, ds: Dataset) -> pb.InstanceOutcome:
    as_role("uploader", subject="uploader-1")
    (outcome,) = await door.upload([to_bytes(ds)])
    return outcome


async def stored_file(door: Door, uid: str) -> bytes:
    """The instance as WADO-RS answers it."""
    as_role("viewer")
    asked = pb.InstanceRef(project=door.project, sop_instance_uid=uid)
    pieces = door.client.stream(door.stub.Transcode, pb.TranscodeRequest(instance=asked), timeout_s=30)
    return b"".join([piece.data async for piece in pieces])


def everything_in(*folders: Path) -> bytes:
    return b"".join(file.read_bytes() for root in folders for file in root.rglob("*") if file.is_file())


@pytest.fixture
async def ruled(
    service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    """An ingest whose project has rules about pixels."""
    rules = [
        {"when": {"StationName": "^CLEANROOM$"}, "then": "clean"},
        {"when": {"Rows": {"min": 32, "max": 32}, "Manufacturer": "^ACME$"}, "then": {"mask": [[8, 4, 40, 3]]}},
        {"when": {"Manufacturer": "^SCRIBBLE$"}, "then": "refuse"},
        {"when": {"Manufacturer": "^WIDE$"}, "then": {"mask": [[4000, 0, 9, 9]]}},
    ]
    profile = {"profile": "basic", "options": ["113101", "113105", "113107"], "pixels": rules}
    monkeypatch.setitem(conftest.CONFIGURATION, "deidentification", profile)
    async with living_ingest(service_settings, minter, tmp_path) as door:
        yield door


async def test_a_suspect_waits_encrypted_and_nobody_else_hears_of_it(
    door: Door, s3_server: S3Part, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    text = TEXT[::-1]  # which no other test lays into the store
    outcome = await upload_one(door, a_capture(text=text))
    assert (outcome.failure_reason, outcome.reason) == (0x0110, "QUARANTINED")
    assert await door.search("instance") == []
    as_role("viewer")
    with pytest.raises(RemoteError, match="no such"):
        await stored_file(door, outcome.sop_instance_uid)
    (item,) = await quarantine(door)
    assert (item.id, item.kind, item.reason, item.state) == (
        outcome.sop_instance_uid, "image", "SECONDARY_CAPTURE", "waiting",
    )  # fmt: skip
    assert (item.modality, item.rows, item.columns, item.frames) == ("OT", 32, 64, 1)
    kept = everything_in(tmp_path, s3_server.folder)
    assert text not in kept
    out, err = capfd.readouterr()
    for secret in SECRETS:
        assert secret.encode() not in kept, secret
        assert secret not in out + err


async def test_sent_again_it_waits_once_and_other_content_is_refused(door: Door) -> None:
    ds = a_capture()
    outcomes = [await upload_one(door, ds) for _ in range(2)]
    assert [outcome.reason for outcome in outcomes] == ["QUARANTINED"] * 2
    ds.PixelData = bytes(32 * 64)
    assert (await upload_one(door, ds)).reason == "CONTENT_DIFFERS"
    assert len(await quarantine(door)) == 1


async def test_the_person_who_decides_sees_the_picture(door: Door) -> None:
    outcome = await upload_one(door, a_capture())
    as_role("curator")
    answer = await shown(door, outcome.sop_instance_uid)
    assert answer.media_type == "image/png"
    picture = Image.open(io.BytesIO(answer.preview))
    assert picture.size == (64, 32)
    with pytest.raises(RemoteError, match="frames"):
        await shown(door, outcome.sop_instance_uid, frame=2)


async def test_released_it_takes_the_road_of_any_instance(door: Door) -> None:
    ds = a_capture(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    uid = (await upload_one(door, ds)).sop_instance_uid
    as_role("curator")
    decided = await decide(door, uid, "release")
    assert (decided.state, decided.decided_by) == ("releasing", "curator-1")
    assert (await carried_out(door, uid)).state == "released"
    (found,) = await door.search("instance")
    assert found["00080018"]["Value"] == [uid]
    assert TEXT in await stored_file(door, uid)
    again = await upload_one(door, ds)
    assert (again.failure_reason, again.already_stored) == (0, True)
    as_role("curator")
    assert (await decide(door, uid, "release")).state == "released"


async def test_masked_nothing_of_the_region_is_kept_anywhere(door: Door, s3_server: S3Part, tmp_path: Path) -> None:
    text = TEXT[20:] + TEXT[:20]
    uid = (await upload_one(door, a_capture(text=text))).sop_instance_uid
    as_role("curator")
    await decide(door, uid, "mask", REGION)
    item = await carried_out(door, uid)
    assert (item.state, [r.width for r in item.regions]) == ("masked", [40])
    ds = dcmread(io.BytesIO(await stored_file(door, uid)))
    pixels = pixel_array(ds)
    assert len(np.unique(pixels[4:7, 8:48])) == 1
    assert len(np.unique(pixels)) > 50
    assert ds.BurnedInAnnotation == "NO"
    assert "113101" in [code.CodeValue for code in ds.DeidentificationMethodCodeSequence]
    assert text not in everything_in(tmp_path, s3_server.folder)
    assert list(s3_server.folder.rglob(f"hearts/v1/quarantine/{uid}/**/*.bin")) == []


async def test_discarded_its_object_is_gone_and_it_does_not_come_back(door: Door, s3_server: S3Part) -> None:
    ds = a_capture(seed=5)
    uid = (await upload_one(door, ds)).sop_instance_uid
    assert list(s3_server.folder.rglob(f"hearts/v1/quarantine/{uid}/**/*.bin"))
    as_role("curator")
    await decide(door, uid, "discard")
    assert (await carried_out(door, uid)).state == "discarded"
    assert list(s3_server.folder.rglob(f"hearts/v1/quarantine/{uid}/**/*.bin")) == []
    with pytest.raises(RemoteError):
        await shown(door, uid)
    assert (await upload_one(door, ds)).reason == "QUARANTINE_DISCARDED"
    assert await door.search("instance") == []
    ds.PixelData = bytes(32 * 64)  # its pixels were cleaned: it may come again
    assert (await upload_one(door, ds)).reason == "QUARANTINED"
    assert [item.state for item in await quarantine(door)] == ["waiting"]
    as_role("curator")
    await decide(door, uid, "release")
    assert (await carried_out(door, uid)).state == "released"


async def test_a_decision_stands(door: Door) -> None:
    uid = (await upload_one(door, a_capture())).sop_instance_uid
    as_role("curator")
    await decide(door, uid, "mask", REGION)
    assert (await decide(door, uid, "mask", REGION)).state in {"masking", "masked"}
    for action, regions in (("release", []), ("discard", []), ("mask", [REGION | {"x": 9}])):
        with pytest.raises(RemoteError) as refused:
            await decide(door, uid, action, *regions)
        assert refused.value.reason == "QUARANTINE_DECIDED"


async def test_a_decision_that_cannot_be_carried_out_is_refused_at_once(door: Door) -> None:
    uid = (await upload_one(door, a_capture())).sop_instance_uid
    as_role("owner")
    for action, regions, reason in (
        ("burn", [], "DECISION_NOT_VALID"),
        ("mask", [], "DECISION_NOT_VALID"),
        ("release", [REGION], "DECISION_NOT_VALID"),
        ("mask", [REGION] * 65, "DECISION_NOT_VALID"),
        ("mask", [REGION | {"x": 64}], "REGION_OUTSIDE"),
        ("mask", [REGION | {"width": 0}], "REGION_OUTSIDE"),
    ):
        with pytest.raises(RemoteError) as refused:
            await decide(door, uid, action, *regions)
        assert refused.value.reason == reason
    assert [item.state for item in await quarantine(door)] == ["waiting"]


async def test_whoever_uploads_views_or_draws_neither_sees_nor_decides(door: Door) -> None:
    uid = (await upload_one(door, a_capture())).sop_instance_uid
    as_role("uploader", "viewer", "annotator", subject="uploader-1")
    for call in (
        lambda: decide(door, uid, "release"),
        lambda: shown(door, uid),
        lambda: door.client.call(door.stub.ListQuarantine, pb.ListQuarantineRequest(project=door.project)),
    ):
        with pytest.raises(RemoteError) as refused:
            await call()
        assert refused.value.reason == "PERMISSION_DENIED"
    as_role("curator")
    with pytest.raises(RemoteError) as unknown:
        await decide(door, "1.2.3", "release")
    assert unknown.value.reason == "QUARANTINE_UNKNOWN"


async def test_the_list_pages_by_arrival_and_by_state(door: Door) -> None:
    uids = [(await upload_one(door, a_capture(seed))).sop_instance_uid for seed in range(3)]
    as_role("curator")
    first = pb.ListQuarantineRequest(project=door.project, limit=2)
    page = await door.client.call(door.stub.ListQuarantine, first)
    assert [item.id for item in page.items] == uids[:2]
    (last,) = await quarantine(door, limit=2, after=page.next)
    assert last.id == uids[2]
    await decide(door, uids[1], "discard")
    await carried_out(door, uids[1])
    assert [item.id for item in await quarantine(door, "waiting")] == [uids[0], uids[2]]
    assert [item.id for item in await quarantine(door, "discarded")] == [uids[1]]


async def test_a_full_quarantine_refuses_and_keeps_nothing(
    service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    async with living_ingest(service_settings, minter, tmp_path, quarantine_limit=1) as door:
        assert (await upload_one(door, a_capture(0))).reason == "QUARANTINED"
        full = await upload_one(door, a_capture(1))
        assert (full.failure_reason, full.reason) == (0xA700, "QUARANTINE_FULL")
        assert len(await quarantine(door)) == 1


async def test_rules_take_mask_and_refuse_without_asking_anybody(ruled: Door, s3_server: S3Part) -> None:
    original = a_capture(11)
    masked = await upload_one(ruled, original)
    assert masked.failure_reason == 0
    ds = dcmread(io.BytesIO(await stored_file(ruled, masked.sop_instance_uid)))
    assert len(np.unique(pixel_array(ds)[4:7, 8:48])) == 1
    assert [code.CodeValue for code in ds.DeidentificationMethodCodeSequence] == [
        "113100",
        "113101",
        "113105",
        "113107",
    ]
    clean = await upload_one(ruled, a_capture(12, StationName="CLEANROOM"))
    assert TEXT in await stored_file(ruled, clean.sop_instance_uid)
    assert (await upload_one(ruled, a_capture(13, Manufacturer="SCRIBBLE"))).reason == "SECONDARY_CAPTURE"
    assert (await upload_one(ruled, a_capture(14, Manufacturer="WIDE"))).reason == "QUARANTINED"
    assert [item.reason for item in await quarantine(ruled)] == ["MASK_NOT_APPLIED"]
    assert (await upload_one(ruled, original)).already_stored


async def test_a_document_is_shown_as_it_is_and_released_whole(door: Door) -> None:
    ds = an_image(np.zeros((2, 2)))
    for keyword in ("PixelData", "Rows", "Columns"):
        delattr(ds, keyword)
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.104.1", "DOC"
    ds.EncapsulatedDocument, ds.MIMETypeOfEncapsulatedDocument = b"%PDF-1.7 a page", "application/pdf"
    uid = (await upload_one(door, ds)).sop_instance_uid
    as_role("curator")
    answer = await shown(door, uid)
    assert (answer.item.kind, answer.media_type) == ("document", "application/octet-stream")
    assert answer.preview.startswith(b"%PDF-1.7 a page")
    with pytest.raises(RemoteError) as refused:
        await decide(door, uid, "mask", REGION)
    assert refused.value.reason == "DECISION_NOT_VALID"
    await decide(door, uid, "release")
    assert (await carried_out(door, uid)).state == "released"
    assert b"%PDF-1.7 a page" in await stored_file(door, uid)


async def test_a_report_is_shown_as_its_cleaned_lines(door: Door) -> None:
    ds, item, name = an_image(np.zeros((2, 2))), Dataset(), Dataset()
    del ds.PixelData
    ds.SOPClassUID, ds.Modality = "1.2.840.10008.5.1.4.1.1.88.22", "SR"
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121071", "DCM", "Finding"
    item.ValueType, item.TextValue, item.ConceptNameCodeSequence = "TEXT", "Patricia Planted: heart, cine", [name]
    ds.ContentSequence = [item]
    uid = (await upload_one(door, ds)).sop_instance_uid
    as_role("curator")
    answer = await shown(door, uid)
    assert (answer.item.kind, answer.media_type) == ("report", "text/plain")
    lines = answer.preview.decode()
    assert "heart, cine" in lines
    assert "Patricia" not in lines


async def test_an_ordinary_series_is_not_held_up(door: Door) -> None:
    as_role("uploader")
    outcomes = await door.upload([*a_short_axis_series(slices=2, phases=2), to_bytes(a_capture())])
    assert [outcome.reason for outcome in outcomes] == ["", "", "", "", "QUARANTINED"]
    assert (await door.settled(outcomes[0].series_uid)).instances == 4
    assert dcmread(io.BytesIO(await stored_file(door, outcomes[0].sop_instance_uid))).file_meta.TransferSyntaxUID == (
        ExplicitVRLittleEndian
    )
