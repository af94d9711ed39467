"""What you learn here: an imported file is a series like any other: found, assembled, reported, never stored twice."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.auth import Caller, TokenMinter, act_as
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.parts import S3Part
from irp_chassis.verdicts import RemoteError
from irp_chassis.wire import object_ref_from_proto
from irp_deid.signed import verify
from irp_kernel import decode_volume
from pydicom import dcmread

from .conftest import Door, living_ingest
from .images import a_nifti, an_nrrd, numbers

PATIENT = "PLANTED-4711"
PLANTED = (PATIENT, "Planted", "Patricia", "19510417")
CINE = {"patient": PATIENT, "series_description": "CINE SAX Patricia Planted", "protocol_name": "cine"}


async def import_file(
    door: Door, data: bytes, *, words_first: bool = True, piece: int = 1 << 16, **words: str
) -> pb.ImportSeriesResponse:
    said = pb.ImportSeriesRequest(description=pb.ImportDescription(**({"patient": PATIENT} | words)))

    async def pieces() -> AsyncIterator[pb.ImportSeriesRequest]:
        yield pb.ImportSeriesRequest(upload=pb.Upload(project=door.project, site="north"))
        if words_first:
            yield said
        for at in range(0, len(data), piece):
            yield pb.ImportSeriesRequest(data=data[at : at + piece])
        if not words_first:
            yield said

    answer: pb.ImportSeriesResponse = await door.client.call(door.stub.ImportSeries, pieces(), timeout_s=60)
    return answer


async def refused(door: Door, data: bytes, **words: str) -> RemoteError:
    with pytest.raises(RemoteError) as error:
        await import_file(door, data, **words)
    return error.value


def kept_in(folders: Sequence[Path]) -> bytes:
    return b"".join(path.read_bytes() for root in folders for path in root.rglob("*") if path.is_file())


async def test_a_file_becomes_a_volume_at_once_and_its_instances_are_found(door: Door) -> None:
    values = numbers((12, 9, 4, 3))
    done = await import_file(door, a_nifti(values, step_s=0.04), **CINE)
    assert (done.instances, done.already_stored) == (12, False)
    state = await door.settled(done.series_uid)
    assert (state.state, state.version, state.instances) == ("assembled", 1, 12)
    assert state.series.sequence_class == "cine-sax"
    assert (state.series.modality, list(state.series.shape)) == ("MR", [3, 4, 9, 12])
    volume = decode_volume(await door.objects.get(object_ref_from_proto(state.series.volume)))
    assert volume.geometry.frame_times_ms == pytest.approx((0.0, 40.0, 80.0))
    assert sorted(volume.array.ravel()) == sorted(values.ravel())
    found = await door.search("instance", SeriesInstanceUID=done.series_uid)
    assert len(found) == 12
    assert {one["00080016"]["Value"][0] for one in found} == {"1.2.840.10008.5.1.4.1.1.4"}


async def test_nothing_planted_is_kept_in_rows_objects_or_logs(
    door: Door, s3_server: S3Part, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    nrrd, _image = an_nrrd(numbers((4, 9, 12), seed=5))
    for data in (a_nifti(numbers(seed=4)), nrrd):
        done = await import_file(door, data, **CINE)
        await door.settled(done.series_uid)
    await refused(door, b"Planted Patricia, no image", **CINE)
    kept = kept_in([tmp_path, s3_server.folder])
    out, err = capfd.readouterr()
    for secret in PLANTED:
        assert secret.encode() not in kept, secret
        assert secret not in out + err


async def test_the_same_image_again_is_the_same_series_and_stores_nothing(door: Door) -> None:
    data = a_nifti(numbers(seed=6))
    first = await import_file(door, data)
    await door.settled(first.series_uid)
    again = await import_file(door, gzip.compress(data), words_first=False, piece=1000)
    assert (again.series_uid, again.instances, again.already_stored) == (first.series_uid, 4, True)
    state = await door.settled(first.series_uid)
    assert (state.instances, state.version) == (4, 1)


async def test_the_same_image_under_another_patient_or_modality_is_refused_and_nothing_is_mixed(door: Door) -> None:
    data = a_nifti(numbers(seed=7))
    first = await import_file(door, data)
    assert (await refused(door, data, patient="SOMEBODY-ELSE")).reason == "IMAGE_KNOWN_OTHERWISE"
    assert (await refused(door, data, modality="CT")).reason == "IMAGE_KNOWN_OTHERWISE"
    assert (await door.settled(first.series_uid)).instances == 4


async def test_two_patients_stay_two_and_a_patient_is_the_one_of_its_dicom(door: Door) -> None:
    one = await import_file(door, a_nifti(numbers(seed=8)), patient="A-1")
    two = await import_file(door, a_nifti(numbers(seed=9)), patient="A-2")
    same = await import_file(door, a_nifti(numbers(seed=10)), patient=" A-1 ")
    patients = [(await door.settled(done.series_uid)).series.patient for done in (one, two, same)]
    assert patients[0] == patients[2] != patients[1]


async def test_ct_is_stored_as_ct(door: Door) -> None:
    values = numbers(seed=12).astype(np.int16) - 1024
    done = await import_file(door, a_nifti(values), modality="CT")
    state = await door.settled(done.series_uid)
    volume = decode_volume(await door.objects.get(object_ref_from_proto(state.series.volume)))
    assert volume.array.min() == values.min() < 0
    (first, *_rest) = await door.search("instance", SeriesInstanceUID=done.series_uid)
    assert first["00080016"]["Value"] == ["1.2.840.10008.5.1.4.1.1.2"]


async def test_a_stored_instance_is_dicom_that_says_where_it_comes_from_and_has_its_line_in_a_signed_report(
    door: Door,
) -> None:
    done = await import_file(door, a_nifti(numbers(seed=13).astype(np.float32) / 7))
    request = pb.LocateRequest(project=door.project, series_uid=done.series_uid)
    (first, *rest) = [one async for one in door.client.stream(door.stub.Locate, request, timeout_s=30)]
    assert len(rest) == 3
    ds = dcmread(io.BytesIO(await door.objects.get(object_ref_from_proto(first.object))))
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
    assert (ds.PatientIdentityRemoved, ds.BitsStored, ds.PixelRepresentation) == ("YES", 16, 0)
    assert 0 < float(ds.RescaleSlope) < 1
    found = (
        await door.client.call(door.stub.GetReport, pb.GetReportRequest(project=door.project, id=done.report))
    ).report
    assert (found.by, found.instances, found.refused, found.complete) == ("ingest", 4, 0, True)
    key = (await door.client.call(door.stub.GetReportKey, pb.GetReportKeyRequest(project=door.project))).jwk
    jws = (await door.objects.get(object_ref_from_proto(found.object))).decode()
    assert len(verify(jws, json.loads(key))["instances"]) == 4


async def test_what_must_not_enter_is_refused_with_its_reason_and_leaves_nothing(door: Door) -> None:
    good = a_nifti(numbers())
    assert (await refused(door, b"no image")).reason == "BAD_VOLUME_FILE"
    assert (await refused(door, good, patient="")).reason == "IMPORT_NOT_DESCRIBED"
    assert (await refused(door, good, modality="XA")).reason == "IMPORT_NOT_DESCRIBED"
    allowed = door.project
    await door.configure(before_arrival="required")
    assert (await refused(door, good)).reason == "DEIDENTIFIED_BEFORE_ARRIVAL"
    door.project = allowed
    act_as(Caller(subject="reader", project="hearts", roles=frozenset({"viewer"})))
    assert (await refused(door, good)).reason == "PERMISSION_DENIED"
    assert await door.search("series") == []


async def test_a_project_whose_rules_keep_such_images_apart_says_so(door: Door) -> None:
    rules = [{"when": {"ImageType": "DERIVED"}, "then": "quarantine"}]
    await door.configure(options=["113101", "113105", "113107", "113111"], pixels=rules)
    error = await refused(door, a_nifti(numbers(seed=14)))
    assert error.reason == "IMPORT_REFUSED"
    assert "QUARANTINED" in error.message


async def test_a_file_beyond_the_limit_is_refused_and_its_memory_given_back(
    service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    large, small = a_nifti(numbers((64, 64, 16))), a_nifti(numbers())
    async with living_ingest(
        service_settings, minter, tmp_path, max_import_bytes=16_384, upload_memory_bytes=20_000
    ) as door:
        assert (await refused(door, large)).reason == "TOO_LARGE"
        assert (await refused(door, gzip.compress(large))).reason == "TOO_LARGE"
        assert (await import_file(door, small)).instances == 4
