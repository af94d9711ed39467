"""What you learn here: the real dicomweb-client stores, finds and retrieves; and what STOW-RS says when it refuses."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from irp_kernel.errors import Unavailable
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from .conftest import PROJECT, TOKEN, House, is_problem


def a_file(seed: int, study: str = "study", series: str = "series") -> bytes:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = MRImageStorage, generate_uid(entropy_srcs=[study, series, str(seed)])
    ds.StudyInstanceUID = generate_uid(entropy_srcs=[study])
    ds.SeriesInstanceUID = generate_uid(entropy_srcs=[study, series])
    ds.PatientID, ds.PatientName, ds.Modality = "P1", "P1", "MR"
    ds.Rows = ds.Columns = 64
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 12, 11, 0
    # bytes that look like a boundary's beginning must pass through unchanged
    pixels = np.random.default_rng(seed).integers(0, 4095, (64, 64)).astype("<u2").tobytes()
    ds.PixelData = b"\r\n--0f3cf5c0-" + pixels[13:-1] + b"\n" if seed % 2 else pixels
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture(scope="module")
def web(house: House, admin: httpx.Client) -> str:
    assert admin.post("/api/v1/projects", json=PROJECT | {"name": "web"}).status_code == 201
    return f"{house.url}/api/v1/projects/web/dicom-web"


def a_client(web: str, chunk_size: int = 10**6) -> DICOMwebClient:
    return DICOMwebClient(web, headers={"Authorization": f"Bearer {TOKEN}"}, chunk_size=chunk_size)


def a_form(*files: bytes, boundary: str = "b") -> dict[str, Any]:
    parts = [f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode() + file for file in files]
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return {"content": b"".join(parts) + f"\r\n--{boundary}--".encode(), "headers": {"Content-Type": kind}}


@pytest.mark.parametrize("chunk_size", [10**6, 777], ids=["one body", "chunked"])
def test_dicomweb_client_stores_finds_and_retrieves_the_same_bytes(web: str, house: House, chunk_size: int) -> None:
    client, study = a_client(web, chunk_size), f"study-{chunk_size}"
    files = [a_file(seed, study, f"series-{seed % 2}") for seed in range(5)]
    answer = client.store_instances([dcmread(io.BytesIO(file)) for file in files])
    assert len(answer.ReferencedSOPSequence) == 5
    assert "/series/" in answer.ReferencedSOPSequence[0].RetrieveURL
    assert answer.ReferencedSOPSequence[0].RetrieveURL.startswith(house.url)

    uid = generate_uid(entropy_srcs=[study])
    series = [generate_uid(entropy_srcs=[study, name]) for name in ("series-0", "series-1")]
    (found,) = client.search_for_studies(search_filters={"StudyInstanceUID": uid})
    assert found["00081190"]["Value"] == [f"{web}/studies/{uid}"]
    assert len(client.search_for_series(uid)) == 2
    assert len(client.search_for_series(search_filters={"SeriesInstanceUID": series[0]})) == 1
    assert len(client.search_for_instances(uid, series[0])) == 3
    assert len(client.search_for_instances(uid, limit=2, get_remaining=True)) == 5
    assert client.search_for_instances(search_filters={"Modality": "CT"}) == []

    retrieved = client.retrieve_study(uid)
    stored = {str(ds.SOPInstanceUID): ds for ds in (dcmread(io.BytesIO(file)) for file in files)}
    assert {str(ds.SOPInstanceUID) for ds in retrieved} == set(stored)
    assert all(ds.PixelData == stored[str(ds.SOPInstanceUID)].PixelData for ds in retrieved)
    assert len(client.retrieve_series(uid, series[0])) == 3
    instance = next(iter(stored.values()))
    one = client.retrieve_instance(uid, instance.SeriesInstanceUID, instance.SOPInstanceUID)
    assert one.PixelData == instance.PixelData
    assert len(client.retrieve_study_metadata(uid)) == 5
    assert len(client.retrieve_series_metadata(uid, series[1])) == 2
    metadata = client.retrieve_instance_metadata(uid, instance.SeriesInstanceUID, instance.SOPInstanceUID)
    assert metadata["00080018"]["Value"] == [str(instance.SOPInstanceUID)]


def test_the_answers_media_type_has_no_charset(web: str, admin: httpx.Client) -> None:
    answer = admin.post(f"{web}/studies", **a_form(a_file(1)))
    assert answer.headers["content-type"] == "application/dicom+json"
    assert admin.get(f"{web}/studies").headers["content-type"] == "application/dicom+json"


def test_one_file_may_come_without_multipart_and_leave_without_it(web: str, admin: httpx.Client) -> None:
    file = a_file(0, "single")
    answer = admin.post(f"{web}/studies", content=file, headers={"Content-Type": "application/dicom"})
    assert answer.status_code == 200
    (url,) = answer.json()["00081199"]["Value"][0]["00081190"]["Value"]
    back = admin.get(url, headers={"Accept": "application/dicom"})
    assert back.headers["content-type"] == "application/dicom"
    assert back.content == file


def test_some_refused_is_202_all_refused_is_409_and_reasons_are_said(web: str, admin: httpx.Client) -> None:
    some = admin.post(f"{web}/studies", **a_form(a_file(2), b"a text named .dcm"))
    assert some.status_code == 202
    (failed,) = some.json()["00081198"]["Value"]
    assert failed["00081197"] == {"vr": "US", "Value": [0xC000]}
    assert failed["00000902"] == {"vr": "LO", "Value": ["NOT_DICOM"]}
    every = admin.post(f"{web}/studies", **a_form(b"a text named .dcm"))
    assert every.status_code == 409
    assert every.headers["content-type"] == "application/dicom+json"
    assert "00081199" not in every.json()


@pytest.mark.parametrize(
    ("content", "kind", "status", "reason"),
    [
        (b"", 'multipart/related; type="application/dicom"; boundary=b', 400, "MULTIPART_BROKEN"),
        (b"--b--", 'multipart/related; type="application/dicom"; boundary=b', 400, "MULTIPART_BROKEN"),
        (b"--b\r\n\r\ncut", 'multipart/related; type="application/dicom"; boundary=b', 400, "MULTIPART_BROKEN"),
        (b"x", "multipart/related", 400, "MULTIPART_BROKEN"),
        (b"{}", "application/json", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"--b--", 'multipart/related; type="application/dicom+json"; boundary=b', 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"--b\r\n\r\n" + bytes(2 << 20), 'multipart/related; type="application/dicom"; boundary=b', 413, "TOO_LARGE"),
    ],
)
def test_a_body_that_is_none_is_a_problem(
    web: str, admin: httpx.Client, content: bytes, kind: str, status: int, reason: str
) -> None:
    is_problem(admin.post(f"{web}/studies", content=content, headers={"Content-Type": kind}), status, reason)


@pytest.mark.parametrize(
    ("method", "path", "accept", "status", "reason"),
    [
        ("GET", "studies/1.2.3", "*/*", 404, "NOT_FOUND"),
        ("GET", "studies/1.2.3/metadata", "*/*", 404, "NOT_FOUND"),
        ("GET", "studies/not-a-uid", "*/*", 422, "BODY_NOT_VALID"),
        ("GET", "studies", "application/dicom+xml", 406, "NOT_ACCEPTABLE"),
        ("GET", "studies?limit=many", "*/*", 400, "QUERY_NOT_VALID"),
        ("GET", "studies/1/series/2/instances/3/frames/1", "*/*", 404, "NOT_FOUND"),
        ("GET", "studies/1/series/2/instances/3/rendered", "*/*", 404, "NOT_FOUND"),
        ("GET", "studies/1/series/2/instances/3/rendered", "image/webp", 406, "NOT_ACCEPTABLE"),
        ("GET", "studies/1/thumbnail?viewport=big", "*/*", 400, "QUERY_NOT_VALID"),
        ("GET", "studies/1/series/2/instances/3/rendered?window=wide", "*/*", 400, "QUERY_NOT_VALID"),
        ("GET", "studies/1/series/2/instances/3/bulkdata/00100010", "*/*", 404, "NOT_FOUND"),
        ("GET", "studies/1/rendered", "image/png", 404, "NOT_FOUND"),
        ("GET", "studies/1/series/2/rendered", "*/*", 404, "NOT_FOUND"),
        ("GET", "studies/1/rendered", "video/mp4", 406, "NOT_ACCEPTABLE"),
        ("GET", "studies/1/rendered", 'multipart/related; type="application/dicom"', 406, "NOT_ACCEPTABLE"),
        ("GET", "studies/1/series/2/instances/3/frames/1,2/rendered", "image/png", 406, "NOT_ACCEPTABLE"),
        ("GET", "studies/1/series/2/instances/3/frames/1/thumbnail", "*/*", 404, "NOT_FOUND"),
        ("GET", "studies/1/pixeldata", "*/*", 501, "NOT_OFFERED"),
        ("DELETE", "studies", "*/*", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "studies/1.2.3/series", "*/*", 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", "studies/1.2.3", "*/*", 404, "NOT_FOUND"),
        ("PUT", "studies/1.2.3/series/4", "*/*", 405, "METHOD_NOT_ALLOWED"),
        ("GET", "patients", "*/*", 404, "NOT_FOUND"),
        ("POST", "workitems", "*/*", 501, "NOT_OFFERED"),
    ],
)
def test_what_is_not_there_or_not_offered_is_a_problem(
    web: str, admin: httpx.Client, method: str, path: str, accept: str, status: int, reason: str
) -> None:
    answer = admin.request(method, f"{web}/{path}", headers={"Accept": accept})
    is_problem(answer, status, reason)
    if status == 405:
        assert "GET" in answer.headers["allow"]


def test_another_transfer_syntax_than_the_stored_one_is_not_acceptable(web: str, admin: httpx.Client) -> None:
    answer = admin.post(f"{web}/studies", **a_form(a_file(4, "syntax")))
    (url,) = answer.json()["00081199"]["Value"][0]["00081190"]["Value"]
    kind = 'multipart/related; type="application/dicom"; transfer-syntax={}'
    for syntax, status in (("*", 200), ("1.2.840.10008.1.2.1", 200), ("1.2.840.10008.1.2.4.90", 406)):
        assert admin.get(url, headers={"Accept": kind.format(syntax)}).status_code == status


def test_a_limit_that_cuts_says_so(web: str, admin: httpx.Client) -> None:
    admin.post(f"{web}/studies", **a_form(*(a_file(seed, "cut") for seed in range(3))))
    uid = generate_uid(entropy_srcs=["cut"])
    cut = admin.get(f"{web}/studies/{uid}/instances?limit=2")
    assert len(cut.json()) == 2
    assert cut.headers["warning"].startswith("299 ")
    assert "warning" not in admin.get(f"{web}/studies/{uid}/instances?limit=2&offset=1").headers


def test_the_token_says_the_site_and_only_owners_speak_for_others(web: str, house: House) -> None:
    uploader = house.member("web", "mac-kiel", "uploader", site="kiel")
    uploader.post(f"{web}/studies", **a_form(a_file(6)))
    assert house.ingest.uploads[-1].site == "kiel"
    form = a_form(a_file(6))
    form["headers"]["X-IRP-Site"] = "luebeck"
    is_problem(uploader.post(f"{web}/studies", **form), 403, "SITE_NOT_YOURS")
    house.person().post(f"{web}/studies", **form)
    assert house.ingest.uploads[-1].site == "luebeck"


def test_a_large_upload_flows_through_in_pieces(web: str, house: House, admin: httpx.Client) -> None:
    house.ingest.largest_piece = 0
    files = [a_file(seed, "large") for seed in range(40)]
    assert admin.post(f"{web}/studies", **a_form(*files)).status_code == 200
    assert 0 < house.ingest.largest_piece <= 1 << 18


def test_an_upload_killed_half_way_stores_nothing_and_harms_nobody(web: str, house: House, admin: httpx.Client) -> None:
    file, host = a_file(0, "killed"), house.settings.http_bind
    head = (
        f"POST /api/v1/projects/web/dicom-web/studies HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n"
        'Content-Type: multipart/related; type="application/dicom"; boundary=b\r\nContent-Length: 1000000\r\n\r\n'
    )
    with socket.create_connection(host.split(":")) as line:  # type: ignore[arg-type]
        line.sendall(head.encode() + b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file[:5000])
        time.sleep(0.3)
    uid = generate_uid(entropy_srcs=["killed"])
    time.sleep(0.3)
    is_problem(admin.get(f"{web}/studies/{uid}"), 404)
    lines = admin.get("/api/v1/audit", params={"project": "web", "limit": 1000}).json()["items"]
    assert [line["status"] for line in lines if line["action"] == "dicomweb.store"].count(499) == 1


@pytest.fixture
def tired_ingest(house: House) -> Iterator[None]:
    house.ingest.refuse = Unavailable("the store is away")
    yield
    house.ingest.refuse = None


def test_a_chunked_upload_is_never_told_to_try_again_by_itself(
    web: str, admin: httpx.Client, tired_ingest: None
) -> None:
    form = a_form(a_file(0))
    whole = admin.post(f"{web}/studies", **form)
    is_problem(whole, 503)
    assert int(whole.headers["retry-after"]) >= 1
    large = admin.post(f"{web}/studies", **a_form(*([bytes(1 << 20)] * 20)))
    is_problem(large, 503)  # not a broken line: the body was read to its end
    chunked = admin.post(f"{web}/studies", content=iter([form["content"]]), headers=form["headers"])
    assert "Send the whole upload again" in is_problem(chunked, 409, "UPLOAD_NOT_FINISHED")["advice"]
