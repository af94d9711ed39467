"""What you learn here: every image of a study becomes a picture, in batches; what cannot be shown is left out."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_chassis.verdicts import RemoteError
from irp_ingest.adapters.db import INSTANCE, METADATA
from irp_ingest.adapters.pictures import images_of, pictures_of
from irp_ingest.domain.errors import FrameUnknown, PixelsNotReadable
from irp_ingest.domain.render import BATCH_FRAMES, Picture, render_batch
from irp_kernel.errors import NotFound
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_windowing
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage, generate_uid
from sqlalchemy import MetaData

from .conftest import Door, a_short_axis_series, an_image, to_bytes
from .enhanced import an_enhanced_image


def without_pixels(like: Dataset) -> bytes:
    ds = Dataset()
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "StudyDate"):
        setattr(ds, keyword, like.get(keyword))
    ds.SOPClassUID, ds.Modality = GrayscaleSoftcopyPresentationStateStorage, "PR"
    ds.SOPInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    return to_bytes(ds)


def a_study() -> list[bytes]:
    """Four images, an instance of three frames, and one of none."""
    files = a_short_axis_series(slices=2, phases=2)
    first = dcmread(io.BytesIO(files[0]))
    frames = np.random.default_rng(1).integers(0, 1000, (3, 12, 10))
    several = an_enhanced_image(frames, [(0, 0, 8.0 * at) for at in range(3)])
    several.StudyInstanceUID = first.StudyInstanceUID
    return [*files, to_bytes(several), without_pixels(first)]


def asked(door: Door, **uids: str) -> pb.RenderAllRequest:
    instance = pb.InstanceRef(project=door.project, **uids)
    window = pb.Window(center=300, width=400)
    return pb.RenderAllRequest(picture=pb.RenderRequest(instance=instance, media_type="image/png", window=window))


async def pictures(door: Door, request: pb.RenderAllRequest) -> list[pb.RenderAllResponse]:
    return [found async for found in door.client.stream(door.stub.RenderAll, request)]


async def test_every_image_of_a_study_is_the_picture_that_pydicom_shows(door: Door) -> None:
    files = a_study()
    outcomes = await door.upload(files)
    assert [outcome.failure_reason for outcome in outcomes] == [0] * 6
    found = await pictures(door, asked(door, study_uid=outcomes[0].study_uid))
    assert len(found) == 4 + 3
    truths = {o.sop_instance_uid: dcmread(io.BytesIO(file)) for o, file in zip(outcomes, files, strict=True)}
    for picture in found:
        ds = truths[picture.sop_instance_uid]
        ds.WindowCenter, ds.WindowWidth = 300, 400
        planes = ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)
        truth = apply_windowing(planes[picture.frame - 1].astype(float), ds) / (2**ds.BitsStored - 1)
        shown = np.asarray(Image.open(io.BytesIO(picture.data))) / 255
        assert np.abs(shown - truth).max() < 1 / 255
    of_cine = [o.sop_instance_uid for o in outcomes[:4]]
    numbers = [int(truths[p.sop_instance_uid].InstanceNumber) for p in found if p.sop_instance_uid in of_cine]
    assert numbers == sorted(numbers)

    request = asked(door, study_uid=outcomes[4].study_uid, sop_instance_uid=outcomes[4].sop_instance_uid)
    request.frames.extend([3, 1])
    assert [picture.frame for picture in await pictures(door, request)] == [3, 1]
    request.frames.append(4)
    for wrong in (request, asked(door, series_uid=outcomes[5].series_uid), asked(door, study_uid="1.2.3")):
        with pytest.raises(RemoteError) as refused:
            await pictures(door, wrong)
        assert refused.value.reason in {"FRAME_UNKNOWN", "NOT_FOUND"}
    request = pb.RenderRequest(instance=asked(door, study_uid=outcomes[0].study_uid).picture.instance)
    request.media_type = "image/gif"
    middle = await door.client.call(door.stub.Render, request)
    assert Image.open(io.BytesIO(middle.data)).format == "GIF"


def test_frames_are_drawn_in_batches_that_fit_in_memory() -> None:
    frames = np.zeros((BATCH_FRAMES + 3, 4, 6))
    file = to_bytes(an_enhanced_image(frames, [(0, 0, 1.0 * at) for at in range(len(frames))]))
    made, left = render_batch(file, Picture(frame=0, media_type="image/png"), [])
    assert [number for number, _ in made] == list(range(1, BATCH_FRAMES + 1))
    assert list(left) == [BATCH_FRAMES + 1, BATCH_FRAMES + 2, BATCH_FRAMES + 3]
    made, left = render_batch(file, Picture(frame=0, media_type="image/png"), left)
    assert (len(made), list(left)) == (3, [])
    made, left = render_batch(file, Picture(frame=0, media_type="image/jpeg", size=(4096, 4096)), [2, 1])
    assert ([number for number, _ in made], list(left)) == ([2], [1])
    with pytest.raises(FrameUnknown):
        render_batch(file, Picture(frame=0, media_type="image/png"), [1, 99])


async def test_an_image_that_cannot_be_decoded_is_left_out_unless_nothing_else_is_there() -> None:
    objects = InMemoryObjects("irp-test")
    broken = an_image(np.zeros((4, 4)))
    broken.PixelData = b"\0" * 6
    rows = [await a_row(objects, ds) for ds in (broken, an_image(np.ones((4, 4))), broken)]
    found = [picture async for picture in pictures_of(objects, rows, Picture(frame=0, media_type="image/png"), [])]
    assert [picture.sop_instance_uid for picture in found] == [rows[1].sop_uid]
    with pytest.raises(PixelsNotReadable):
        await anext(pictures_of(objects, rows[:1], Picture(frame=0, media_type="image/png"), []))


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


async def test_images_come_by_their_number_and_what_has_no_rows_is_none(either_database: Database) -> None:
    rest = {"project": "p", "study_uid": "1", "sop_class": "1", "transfer_syntax": "1", "fingerprint": "f"}
    rest |= {"object": {}, "plane": None, "candidates": []}
    rows = {"1.1": (10, 64), "1.2": (2, 64), "1.3": (None, 64), "1.4": (1, None)}
    async with either_database.engine.begin() as connection:
        for uid, (number, height) in rows.items():
            header = {"00200013": {"vr": "IS"}, "00080060": {"vr": "CS", "Value": ["MR"]}}
            header |= {"00200013": {"vr": "IS", "Value": [number]}} if number else {}
            header |= {"00280010": {"vr": "US", "Value": [height]}} if height else {}
            await connection.execute(INSTANCE.insert().values(series_uid="1.0", sop_uid=uid, header=header, **rest))
    uids = {"study_uid": "1", "series_uid": "", "sop_uid": ""}
    assert [row.sop_uid for row in await images_of(either_database, "p", uids)] == ["1.2", "1.1", "1.3"]
    assert [row.sop_uid for row in await images_of(either_database, "p", uids | {"sop_uid": "1.4"})] == ["1.4"]
    with pytest.raises(NotFound):
        await images_of(either_database, "other", uids)


async def a_row(objects: InMemoryObjects, ds: Dataset) -> Any:
    named = {"project": "p", "entity": "instance", "id": "1", "kind": "dicom"}
    ref = await objects.put(to_bytes(ds), media_type="application/dicom", extension="dcm", **named)
    fields = {name: getattr(ref, name) for name in ("bucket", "key", "sha256", "size", "media_type")}
    return SimpleNamespace(series_uid="1", sop_uid=str(ds.SOPInstanceUID), object=fields)
