"""What you learn here: what ingest answers to an upload, and what it keeps of it: nothing of the patient."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1.events_pb2 import SeriesStored
from irp_chassis.auth import TokenMinter
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import S3Part
from irp_chassis.wire import object_ref_from_proto
from irp_ingest.adapters.db import SECRET
from irp_ingest.adapters.secrets import ProjectSecrets
from irp_ingest.app.ports import Assembled
from irp_kernel import decode_volume
from pydicom.dataset import Dataset
from sqlalchemy import select

from . import conftest
from .conftest import SECRETS, Door, a_short_axis_series, an_image, living_ingest, to_bytes


async def test_an_upload_becomes_a_volume_and_is_announced(door: Door) -> None:
    outcomes = await door.upload(a_short_axis_series())
    assert [outcome.failure_reason for outcome in outcomes] == [0] * 12
    assert len({outcome.sop_instance_uid for outcome in outcomes}) == 12
    state = await door.settled(outcomes[0].series_uid)
    assert (state.state, state.version, state.instances) == ("assembled", 1, 12)
    assert state.series.sequence_class == "cine-sax"
    assert list(state.series.shape) == [4, 3, 16, 16]
    assert list(state.series.spacing_mm) == [8.0, 1.5, 1.25]
    volume = decode_volume(await door.objects.get(object_ref_from_proto(state.series.volume)))
    assert volume.array.shape == (4, 3, 16, 16)
    assert str(volume.array.dtype) == "int16"
    assert volume.geometry.matrix[2, 3] == 0.0


async def test_nothing_planted_is_kept_in_rows_objects_or_logs(
    door: Door, s3_server: S3Part, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    odd = an_image(np.zeros((4, 4)))  # values that libraries like to quote in warnings
    odd.StudyInstanceUID, odd.AcquisitionDate, odd.ContentTime = "1.2.0045.Planted", "19510417x", "Patricia"
    odd.SequenceName = "Plantedhospital" * 4
    files = [*a_short_axis_series(), to_bytes(odd), b"Planted text", to_bytes(a_capture())]
    outcomes = await door.upload(files)
    await door.settled(outcomes[0].series_uid)
    kept = b"".join(p.read_bytes() for root in (tmp_path, s3_server.folder) for p in root.rglob("*") if p.is_file())
    out, err = capfd.readouterr()
    for secret in SECRETS:
        assert secret.encode() not in kept, secret
        assert secret not in out + err


async def test_the_same_upload_again_stores_nothing_twice(door: Door) -> None:
    files = a_short_axis_series()
    first = await door.upload(files)
    await door.settled(first[0].series_uid)
    second = await door.upload(files)
    assert {outcome.already_stored for outcome in second} == {True}
    assert [o.sop_instance_uid for o in second] == [o.sop_instance_uid for o in first]
    state = await door.settled(first[0].series_uid)
    assert (state.instances, state.version) == (12, 1)


async def test_the_same_instance_with_another_preamble_is_the_same(door: Door) -> None:
    (file,) = a_short_axis_series(slices=1, phases=1)
    await door.upload([file])
    (again,) = await door.upload([b"X" * 128 + file[128:]])
    assert again.already_stored


async def test_other_content_under_a_known_uid_is_refused(door: Door) -> None:
    ds = an_image(np.zeros((4, 4)))
    await door.upload([to_bytes(ds)])
    ds.PixelData = bytes([1]) * 32
    (outcome,) = await door.upload([to_bytes(ds)])
    assert (outcome.failure_reason, outcome.reason) == (0x0111, "CONTENT_DIFFERS")


def a_capture() -> Dataset:
    ds = an_image(np.zeros((4, 4)))
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    return ds


def a_recording() -> Dataset:
    ds = an_image(np.zeros((4, 4)))
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66"
    return ds


@pytest.mark.parametrize(
    ("file", "failure", "reason"),
    [
        (b"this is a text named .dcm", 0xC000, "NOT_DICOM"),
        (b"\0" * 128 + b"DICM" + b"garbage", 0xA900, "IDENTIFIERS_MISSING"),
        (to_bytes(a_recording()), 0x0122, "RECORDING_NOT_TAKEN"),
    ],
    ids=["a text", "no identifiers", "a recording"],  # bytes with new UIDs would make another name in every process
)
async def test_what_must_not_enter_is_refused_with_a_reason_and_counted(
    door: Door, file: bytes, failure: int, reason: str
) -> None:
    good = a_short_axis_series(slices=1, phases=1)
    bad, well = await door.upload([file, *good])
    assert (bad.failure_reason, bad.reason, bad.sop_instance_uid) == (failure, reason, "")
    assert well.failure_reason == 0
    rejections = await door.client.call(door.stub.ListRejections, pb.ListRejectionsRequest(project=door.project))
    assert [(r.reason, r.count) for r in rejections.rejections] == [(reason, 1)]


async def test_a_stream_that_ends_in_a_file_leaves_nothing_of_it(door: Door) -> None:
    whole, cut = a_short_axis_series(slices=1, phases=2)

    async def pieces() -> AsyncIterator[pb.StoreInstancesRequest]:
        yield pb.StoreInstancesRequest(upload=pb.Upload(project=door.project, site="north"))
        yield pb.StoreInstancesRequest(begin=True)
        yield pb.StoreInstancesRequest(data=whole)
        yield pb.StoreInstancesRequest(end=True)
        yield pb.StoreInstancesRequest(begin=True)
        yield pb.StoreInstancesRequest(data=cut[:-10])

    answer = await door.client.call(door.stub.StoreInstances, pieces())
    assert [outcome.reason for outcome in answer.outcomes] == ["", "UPLOAD_CUT_OFF"]
    assert len(await door.search("instance")) == 1


async def test_a_sender_that_dies_half_way_leaves_nothing_of_the_cut_file_and_no_memory_held(
    door: Door, s3_server: S3Part
) -> None:
    (file,) = a_short_axis_series(slices=1, phases=1, seed=77)
    before = sorted(s3_server.folder.rglob("hearts/v1/series/*"))

    class Died(Exception):
        pass

    async def pieces() -> AsyncIterator[pb.StoreInstancesRequest]:
        yield pb.StoreInstancesRequest(upload=pb.Upload(project=door.project, site="north"))
        yield pb.StoreInstancesRequest(begin=True)
        yield pb.StoreInstancesRequest(data=file[:-10])
        await asyncio.sleep(0.2)
        raise Died

    with pytest.raises(Died):
        await door.client.call(door.stub.StoreInstances, pieces())
    assert await door.search("instance") == []
    assert sorted(s3_server.folder.rglob("hearts/v1/series/*")) == before
    outcomes = await door.upload([file])
    assert outcomes[0].failure_reason == 0


async def test_an_instance_beyond_the_limit_is_refused_and_the_next_one_taken(
    service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    small, large = a_short_axis_series(slices=1, phases=1), a_short_axis_series(slices=1, phases=1, size=128, seed=1)
    async with living_ingest(service_settings, minter, tmp_path, max_instance_bytes=16_384) as door:
        outcomes = await door.upload([*large, *small])
    assert [(o.failure_reason, o.reason) for o in outcomes] == [(0xA700, "INSTANCE_TOO_LARGE"), (0, "")]


async def test_an_instance_of_another_study_than_the_address_says_is_refused(door: Door) -> None:
    (outcome,) = await door.upload(a_short_axis_series(slices=1, phases=1), study_uid="1.2.3")
    assert (outcome.failure_reason, outcome.reason) == (0xA900, "STUDY_MISMATCH")


async def test_late_instances_make_a_new_version(door: Door) -> None:
    files = a_short_axis_series(slices=4, phases=2)
    outcomes = await door.upload(files[:6])
    uid = outcomes[0].series_uid
    assert list((await door.settled(uid)).series.shape) == [2, 3, 16, 16]
    await door.upload(files[6:])
    state = await door.settled(uid, version=2)
    assert (state.version, list(state.series.shape)) == (2, [2, 4, 16, 16])


async def test_complete_series_assembles_without_waiting(
    service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(conftest.CONFIGURATION, "series_quiet_s", 600)
    async with conftest.living_ingest(service_settings, minter, tmp_path) as door:
        uid = (await door.upload(a_short_axis_series(slices=2, phases=1)))[0].series_uid
        assert (await door.series(uid)).state == "receiving"
        request = pb.CompleteSeriesRequest(project=door.project, series_uids=[uid])
        await door.client.call(door.stub.CompleteSeries, request)
        assert (await door.settled(uid)).state == "assembled"


async def test_two_sites_with_the_same_patient_number_stay_two_patients(door: Door) -> None:
    files = a_short_axis_series(slices=1, phases=1)
    (north,), (south,) = await door.upload(files, site="north"), await door.upload(files, site="south")
    patients = {(await door.series(o.series_uid)).series.patient for o in (north, south)}
    assert len(patients) == 2
    assert north.series_uid != south.series_uid


def test_every_fact_of_a_series_has_its_place_in_the_message() -> None:
    told = {f.name for f in dataclasses.fields(Assembled)} - {"facts", "left_out"}
    assert told <= set(SeriesStored().series.DESCRIPTOR.fields_by_name)


async def test_the_project_secret_is_kept_wrapped_only(door: Door) -> None:
    secrets = ProjectSecrets(door.room.database, bytes.fromhex("ab" * 32))
    first = await secrets.site_key("hearts", "north")
    assert first == await ProjectSecrets(door.room.database, bytes.fromhex("ab" * 32)).site_key("hearts", "north")
    assert first != await secrets.site_key("other", "north")
    async with door.room.database.read() as connection:
        rows = (await connection.execute(select(SECRET.c.wrapped))).scalars().all()
    assert all(secrets._open[p] not in bytes(row) for row in rows for p in secrets._open)
