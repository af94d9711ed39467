"""What you learn here: a study, series or instance comes as pictures, each with its address; or one stands for all."""

from __future__ import annotations

import io
from dataclasses import dataclass
from email.parser import BytesParser
from typing import Any

import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom import dcmread
from pydicom.uid import generate_uid

from .conftest import PROJECT, House, is_problem
from .test_dicomweb import a_client, a_file, a_form
from .test_dicomweb_pixels import three_frames

WINDOW = "window=2048,4096,linear-exact"


@dataclass
class Study:
    """Two images in one series, three frames in another."""

    client: DICOMwebClient
    url: str
    study: str
    series: str
    images: dict[str, np.ndarray]


def without_rows(like: bytes) -> bytes:
    ds = dcmread(io.BytesIO(like))
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(ds, keyword)
    ds.SOPInstanceUID = generate_uid(entropy_srcs=["without rows"])
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    buffer = io.BytesIO()
    ds.save_as(buffer)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def stored(house: House, admin: httpx.Client) -> Study:
    assert admin.post("/api/v1/projects", json=PROJECT | {"name": "pictures"}).status_code == 201
    web = f"{house.url}/api/v1/projects/pictures/dicom-web"
    files = [a_file(2, "pictures", "one"), a_file(4, "pictures", "one")]
    several = dcmread(io.BytesIO(three_frames("pictures")[0]))
    files += [three_frames("pictures")[0], without_rows(files[0])]
    assert admin.post(f"{web}/studies", **a_form(*files)).status_code == 200
    images = {str(ds.SOPInstanceUID): ds.pixel_array for ds in map(dcmread, map(io.BytesIO, files[:2]))}
    images[str(several.SOPInstanceUID)] = several.pixel_array
    first = dcmread(io.BytesIO(files[0]))
    url = f"{web}/studies/{first.StudyInstanceUID}"
    return Study(a_client(web), url, str(first.StudyInstanceUID), str(first.SeriesInstanceUID), images)


def parts_of(answer: httpx.Response) -> list[tuple[str, str, bytes]]:
    """(Content-Type, Content-Location, content), read by the standard library."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message: Any = BytesParser().parsebytes(head + answer.content)
    assert message.is_multipart()
    found = message.get_payload()
    return [(p.get_content_type(), p["Content-Location"], p.get_payload(decode=True)) for p in found]


def as_shown(pixels: np.ndarray) -> np.ndarray:
    """The window 2048, 4096: 12 bits become 8."""
    return np.rint(np.clip(pixels / 4096, 0, 1) * 255)


@pytest.mark.parametrize(("path", "number"), [("", 5), ("/series/{series}", 2)])
def test_every_image_comes_as_a_part_and_says_where_it_lies(
    stored: Study, admin: httpx.Client, path: str, number: int
) -> None:
    url = f"{stored.url}{path.format(series=stored.series)}/rendered?{WINDOW}"
    answer = admin.get(url, headers={"Accept": 'multipart/related; type="image/png"'})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith('multipart/related; type="image/png"; boundary=')
    parts = parts_of(answer)
    assert len({place for _, place, _ in parts}) == len(parts) == number
    for kind, place, data in parts:
        assert kind == "image/png"
        instance, frame = place.split("/instances/")[1].split("/frames/")
        planes = stored.images[instance].reshape(-1, 64, 64)
        shown = np.asarray(Image.open(io.BytesIO(data)), float)
        np.testing.assert_array_equal(shown, as_shown(planes[int(frame.split("/")[0]) - 1]))
    _, place, data = parts[-1]
    assert admin.get(f"{place}?{WINDOW}", headers={"Accept": "image/png"}).content == data


def test_dicomweb_client_reads_all_of_a_series_and_one_for_all(stored: Study) -> None:
    jpeg = ("image/jpeg",)
    url = f"{stored.url}/series/{stored.series}/rendered"
    assert [Image.open(io.BytesIO(p)).format for p in stored.client.retrieve_bulkdata(url, jpeg)] == ["JPEG"] * 2
    one = stored.client.retrieve_series_rendered(stored.study, stored.series, media_types=("image/png",))
    assert Image.open(io.BytesIO(one)).size == (64, 64)
    small = stored.client.retrieve_series_rendered(
        stored.study, stored.series, media_types=jpeg, params={"viewport": "32,32", "quality": 20}
    )
    assert Image.open(io.BytesIO(small)).size == (32, 32)


def test_what_the_client_accepts_decides_how_many_pictures_come(stored: Study, admin: httpx.Client) -> None:
    instance = next(uid for uid, pixels in stored.images.items() if pixels.ndim == 3)
    series = parts_of(admin.get(f"{stored.url}/rendered"))[-1][1].split("/series/")[1].split("/")[0]
    url = f"{stored.url}/series/{series}/instances/{instance}"
    several = {"Accept": 'multipart/related; type="image/gif"'}
    cases: list[tuple[str, dict[str, str], str, int]] = [
        (f"{stored.url}/rendered", {"Accept": "*/*"}, "image/jpeg", 5),
        (f"{stored.url}/rendered", {"Accept": "image/webp, image/*;q=0.8, */*;q=0.5"}, "image/jpeg", 1),
        (f"{stored.url}/rendered?accept=image/png", {"Accept": "*/*"}, "image/png", 1),
        (f"{url}/rendered", {"Accept": "*/*"}, "image/jpeg", 1),
        (f"{url}/rendered", several, "image/gif", 3),
        (f"{url}/frames/3,1/rendered", {"Accept": "*/*"}, "image/jpeg", 2),
        (f"{url}/frames/2/rendered", several, "image/gif", 1),
        (f"{url}/frames/2/thumbnail", {"Accept": "image/png"}, "image/png", 1),
    ]
    for address, headers, kind, number in cases:
        answer = admin.get(address, headers=headers)
        assert answer.status_code == 200, answer.text
        multipart = answer.headers["content-type"].startswith("multipart/related")
        parts = parts_of(answer) if multipart else [(answer.headers["content-type"], "", answer.content)]
        assert [part[0] for part in parts] == [kind] * number
        assert all(Image.open(io.BytesIO(part[2])).format == kind[6:].upper() for part in parts)
    is_problem(admin.get(f"{url}/frames/1,9/rendered"), 404, "FRAME_UNKNOWN")
    is_problem(admin.get(f"{stored.url}/rendered?viewport=8,8,60,60,9,9"), 400, "REGION_OUTSIDE")
    is_problem(admin.get(f"{stored.url}/rendered?window=wide"), 400, "QUERY_NOT_VALID")
    is_problem(admin.get(f"{stored.url}/rendered?quality=0"), 422, "BODY_NOT_VALID")
