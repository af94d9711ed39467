"""What you learn here: dicomweb-client reads frames, pictures and bulk data; what is negotiated, and what is cached."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from .conftest import PROJECT, House, is_problem
from .test_dicomweb import a_client, a_file, a_form


@dataclass
class Stored:
    """An instance with three frames, RLE compressed, behind the gateway."""

    client: DICOMwebClient
    url: str
    uids: tuple[str, str, str]
    pixels: np.ndarray
    file: bytes


def three_frames(name: str) -> tuple[bytes, np.ndarray]:
    ds = dcmread(io.BytesIO(a_file(0, name)))
    pixels = np.random.default_rng(7).integers(0, 4095, (3, 64, 64)).astype("<u2")
    ds.NumberOfFrames, ds.PixelData = 3, pixels.tobytes()
    ds.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue(), pixels


@pytest.fixture(scope="module")
def stored(house: House, admin: httpx.Client) -> Stored:
    assert admin.post("/api/v1/projects", json=PROJECT | {"name": "pixels"}).status_code == 201
    web = f"{house.url}/api/v1/projects/pixels/dicom-web"
    file, pixels = three_frames("pixels")
    assert admin.post(f"{web}/studies", **a_form(file)).status_code == 200
    ds = dcmread(io.BytesIO(file))
    uids = (str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID))
    url = "{}/studies/{}/series/{}/instances/{}".format(web, *uids)
    return Stored(a_client(web), url, uids, pixels, file)


def test_frames_come_decoded_or_as_they_are_stored(stored: Stored) -> None:
    second, first = stored.client.retrieve_instance_frames(*stored.uids, frame_numbers=[2, 1])
    assert (second, first) == (stored.pixels[1].tobytes(), stored.pixels[0].tobytes())
    rle = [("image/dicom-rle", str(RLELossless))]
    (packed,) = stored.client.retrieve_instance_frames(*stored.uids, frame_numbers=[1], media_types=rle)
    assert packed != first
    assert len(packed) < len(first) * 1.1
    (octets,) = stored.client.retrieve_instance_frames(
        *stored.uids, frame_numbers=[3], media_types=[("application/octet-stream", str(ExplicitVRLittleEndian))]
    )
    assert octets == stored.pixels[2].tobytes()


def test_the_stored_form_is_labelled_and_a_single_frame_needs_no_multipart(stored: Stored, admin: httpx.Client) -> None:
    kind = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
    answer = admin.get(f"{stored.url}/frames/1", headers={"Accept": kind})
    assert f"Content-Type: image/dicom-rle; transfer-syntax={RLELossless}".encode() in answer.content
    answer = admin.get(f"{stored.url}/frames/1", headers={"Accept": "application/octet-stream"})
    assert answer.headers["content-type"] == f"application/octet-stream; transfer-syntax={ExplicitVRLittleEndian}"
    assert answer.content == stored.pixels[0].tobytes()


def test_frames_that_are_not_there_or_not_offered_are_problems(stored: Stored, admin: httpx.Client) -> None:
    is_problem(admin.get(f"{stored.url}/frames/4"), 404, "FRAME_UNKNOWN")
    is_problem(admin.get(f"{stored.url}/frames/0"), 404, "FRAME_UNKNOWN")
    is_problem(admin.get(f"{stored.url}/frames/1,"), 400, "QUERY_NOT_VALID")
    jpeg = 'multipart/related; type="image/jpeg"'
    is_problem(admin.get(f"{stored.url}/frames/1", headers={"Accept": jpeg}), 406, "NOT_ACCEPTABLE")


def test_an_instance_comes_in_explicit_little_endian_unless_the_stored_form_is_wanted(
    stored: Stored, admin: httpx.Client
) -> None:
    (plain,) = stored.client.retrieve_series(*stored.uids[:2])
    assert plain.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    np.testing.assert_array_equal(plain.pixel_array, stored.pixels)
    as_stored = stored.client.retrieve_instance(*stored.uids)
    assert as_stored.file_meta.TransferSyntaxUID == RLELossless
    alone = admin.get(stored.url, headers={"Accept": "application/dicom"})
    assert dcmread(io.BytesIO(alone.content)).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    alone = admin.get(stored.url, headers={"Accept": "application/dicom; transfer-syntax=*"})
    assert alone.content == stored.file


def test_metadata_names_the_bulk_data_and_the_client_finds_it_there(stored: Stored) -> None:
    metadata = stored.client.retrieve_instance_metadata(*stored.uids)
    address = metadata["7FE00010"]["BulkDataURI"]
    (bulk,) = stored.client.retrieve_bulkdata(address)
    assert bulk == stored.pixels.tobytes()


def test_pictures_have_the_size_and_the_kind_that_is_asked_for(stored: Stored, admin: httpx.Client) -> None:
    def picture(path: str, accept: str = "image/png") -> Image.Image:
        answer = admin.get(path, headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        return Image.open(io.BytesIO(answer.content))

    study, series, _ = stored.uids
    web = stored.url.split("/studies/")[0]
    assert picture(f"{stored.url}/rendered").size == (64, 64)
    assert picture(f"{stored.url}/rendered?viewport=32,32", "image/jpeg").format == "JPEG"
    assert picture(f"{stored.url}/rendered?viewport=,,8,8,16,24").size == (16, 24)
    assert picture(f"{stored.url}/rendered", "*/*").format == "JPEG"
    for path in (f"{web}/studies/{study}", f"{web}/studies/{study}/series/{series}", stored.url):
        assert picture(f"{path}/thumbnail").size == (128, 128)
    white = picture(f"{stored.url}/frames/2/rendered?window=-10,1,linear-exact")
    assert np.asarray(white).min() == 255
    rendered = stored.client.retrieve_instance_rendered(*stored.uids, media_types=["image/png"])
    assert Image.open(io.BytesIO(rendered)).size == (64, 64)
    is_problem(admin.get(f"{stored.url}/frames/9/rendered"), 404, "FRAME_UNKNOWN")
    is_problem(admin.get(f"{stored.url}/rendered?window=1,0"), 400, "INVALID_ARGUMENT")
    is_problem(admin.get(f"{stored.url}/rendered?viewport=8,8,60,60,9,9"), 400, "REGION_OUTSIDE")


def test_a_stored_file_may_be_read_in_ranges_and_is_not_sent_twice(stored: Stored, admin: httpx.Client) -> None:
    wanted = {"Accept": "application/dicom; transfer-syntax=*"}
    whole = admin.get(stored.url, headers=wanted)
    size = len(stored.file)
    cases: list[tuple[str, Callable[[bytes], bytes]]] = [
        ("bytes=0-131", lambda file: file[:132]),
        ("bytes=-100", lambda file: file[-100:]),
        (f"bytes={size - 5}-", lambda file: file[-5:]),
    ]
    for said, cut in cases:
        part = admin.get(stored.url, headers=wanted | {"Range": said})
        assert (part.status_code, part.content) == (206, cut(stored.file))
        assert part.headers["content-range"].endswith(f"/{size}")
    is_problem(admin.get(stored.url, headers=wanted | {"Range": f"bytes={size}-"}), 416, "RANGE_NOT_SATISFIABLE")
    again = admin.get(stored.url, headers=wanted | {"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_study_that_nobody_sent_has_no_pictures(stored: Stored, admin: httpx.Client) -> None:
    web = stored.url.split("/studies/")[0]
    is_problem(admin.get(f"{web}/studies/{generate_uid()}/thumbnail"), 404, "NOT_FOUND")
