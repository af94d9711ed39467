"""What you learn here: frames, pictures and other transfer syntaxes of a stored instance, measured against pydicom."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.verdicts import RemoteError
from irp_ingest.domain.errors import FrameUnknown, PixelsNotReadable, RegionOutside
from irp_ingest.domain.frames import frames_of, transcoded
from irp_ingest.domain.render import Picture, Window, render
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels.processing import apply_windowing
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    RLELossless,
)

from .conftest import Door, a_short_axis_series, an_image, to_bytes

COMPRESSED = ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPEG2000.dcm"]
UNCOMPRESSED = ["MR_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm", "SC_rgb_rle_16bit_2frame.dcm"]


def a_file(name: str) -> bytes:
    path = get_testdata_file(name)
    assert path is not None
    return Path(str(path)).read_bytes()


def read(file: bytes) -> Dataset:
    return dcmread(io.BytesIO(file))


def shown(file: bytes, **wanted: Any) -> np.ndarray:
    picture = render(file, Picture(frame=wanted.pop("frame", 1), media_type="image/png", **wanted))
    return np.asarray(Image.open(io.BytesIO(picture)))


@pytest.mark.parametrize("name", COMPRESSED + UNCOMPRESSED)
def test_decoded_frames_and_transcoded_files_hold_the_pixels_that_pydicom_reads(name: str) -> None:
    file, truth = a_file(name), read(a_file(name)).pixel_array
    planes = truth if int(read(file).get("NumberOfFrames") or 1) > 1 else truth[None]
    frames, syntax = frames_of(file, [], decoded=True)
    assert syntax == ExplicitVRLittleEndian
    little = planes.dtype.newbyteorder("<")
    for frame, plane in zip(frames, planes, strict=True):
        np.testing.assert_array_equal(np.frombuffer(frame, little).reshape(plane.shape), plane)
    again = read(transcoded(file))
    assert again.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert again.SOPInstanceUID == read(file).SOPInstanceUID
    np.testing.assert_array_equal(again.pixel_array, truth)


def ten_frames(*, packed: bool) -> bytes:
    ds = an_image(np.zeros((4, 6)))
    ds.NumberOfFrames, ds.PixelData = 10, np.arange(240, dtype="<u2").tobytes()
    file = read(to_bytes(ds))
    if packed:
        file.compress(RLELossless, generate_instance_uid=False)
    buffer = io.BytesIO()
    file.save_as(buffer)
    return buffer.getvalue()


def test_one_frame_is_handed_out_as_it_is_stored() -> None:
    file = ten_frames(packed=True)
    (third,), syntax = frames_of(file, [3], decoded=False)
    assert syntax == RLELossless
    every, _ = frames_of(file, [], decoded=False)
    assert (len(every), every[2]) == (10, third)
    assert frames_of(a_file("MR_small_jp2klossless.dcm"), [1], decoded=False)[1] == JPEG2000Lossless


@pytest.mark.parametrize("number", [0, 11, -1])
def test_a_frame_that_is_not_there_is_said_so(number: int) -> None:
    with pytest.raises(FrameUnknown, match="10 frames"):
        frames_of(ten_frames(packed=False), [number], decoded=True)


def test_broken_pixels_and_no_pixels_are_refused_alike() -> None:
    without = an_image(np.zeros((4, 4)))
    del without.PixelData
    broken = read(a_file("MR_small_jp2klossless.dcm"))
    broken.PixelData = broken.PixelData[:60]
    buffer = io.BytesIO()
    broken.save_as(buffer)
    for file in (to_bytes(without), buffer.getvalue()):
        with pytest.raises(PixelsNotReadable):
            frames_of(file, [1], decoded=True)
        with pytest.raises(PixelsNotReadable):
            render(file, Picture(frame=1, media_type="image/png"))


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_shows_what_the_standard_says(function: str) -> None:
    ds = an_image(np.arange(0, 1024).reshape(32, 32))
    ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = 300.0, 400.0, function
    ds.RescaleSlope, ds.RescaleIntercept = 1.0, 0.0
    file = read(to_bytes(ds))
    truth = apply_windowing(file.pixel_array.astype(float), file) / (2**12 - 1)
    by_file = shown(to_bytes(ds)).astype(float) / 255
    assert np.abs(by_file - truth).max() < 1 / 255
    asked = Window(center=300, width=400, function=function.lower().replace("_", "-"))
    ds.WindowCenter = 700.0
    np.testing.assert_array_equal(shown(to_bytes(ds), window=asked), np.rint(by_file * 255))


def test_monochrome1_is_inverted_and_rescaling_comes_before_the_window() -> None:
    ds = an_image(np.array([[0, 50], [100, 100]]))
    ds.RescaleSlope, ds.RescaleIntercept = 2.0, -100.0
    window = Window(center=0, width=200, function="linear-exact")
    assert shown(to_bytes(ds), window=window).tolist() == [[0, 128], [255, 255]]
    ds.PhotometricInterpretation = "MONOCHROME1"
    assert shown(to_bytes(ds), window=window).tolist() == [[255, 128], [0, 0]]


def test_each_frame_of_an_enhanced_image_has_its_own_window() -> None:
    ds = an_image(np.full((2, 4), 100))
    ds.NumberOfFrames, ds.PixelData = 2, np.full((2, 2, 4), 100, "<u2").tobytes()
    ds.PerFrameFunctionalGroupsSequence = Sequence([_frame(100.0), _frame(1000.0)])
    assert [int(shown(to_bytes(ds), frame=frame)[0, 0]) for frame in (1, 2)] == [128, 0]


def _frame(center: float) -> Dataset:
    voi, groups = Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth, voi.VOILUTFunction = center, 100.0, "LINEAR_EXACT"
    groups.FrameVOILUTSequence = Sequence([voi])
    return groups


def test_a_viewport_crops_and_keeps_the_aspect_ratio() -> None:
    file = to_bytes(an_image(np.arange(64 * 32).reshape(64, 32)))
    assert shown(file, size=(100, 100)).shape == (100, 50)
    assert shown(file, region=(8, 16, 16, 0)).shape == (48, 16)
    with pytest.raises(RegionOutside, match="32 columns and 64 rows"):
        shown(file, region=(30, 0, 8, 8))


@pytest.mark.parametrize("name", ["examples_palette.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_rle_16bit.dcm"])
def test_colour_is_shown_in_colour(name: str) -> None:
    picture = Image.open(io.BytesIO(render(a_file(name), Picture(frame=1, media_type="image/jpeg", quality=80))))
    assert (picture.format, picture.mode) == ("JPEG", "RGB")


def test_bits_that_share_bytes_are_unpacked() -> None:
    ds = an_image(np.zeros((3, 3)))
    ds.SOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.NumberOfFrames = 1, 1, 0, 2
    ds.PixelData = b"\xff\x01\x00\x00"
    frames, _ = frames_of(to_bytes(ds), [1, 2], decoded=True)
    assert [sum(frame) for frame in frames] == [9, 0]


def test_big_endian_words_are_turned() -> None:
    big = read(a_file("MR_small_bigendian.dcm"))
    assert big.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    np.testing.assert_array_equal(read(transcoded(a_file("MR_small_bigendian.dcm"))).pixel_array, big.pixel_array)


async def test_the_door_answers_frames_pictures_and_files(door: Door) -> None:
    (stored, *_) = await door.upload(a_short_axis_series(slices=3, phases=1))
    one = pb.InstanceRef(
        project=door.project,
        study_uid=stored.study_uid,
        series_uid=stored.series_uid,
        sop_instance_uid=stored.sop_instance_uid,
    )
    frames = [f async for f in door.client.stream(door.stub.Frames, pb.FramesRequest(instance=one, decoded=True))]
    assert [len(frame.data) for frame in frames] == [16 * 16 * 2]
    pieces = door.client.stream(door.stub.Transcode, pb.TranscodeRequest(instance=one))
    file = b"".join([piece.data async for piece in pieces])
    assert read(file).SOPInstanceUID == stored.sop_instance_uid
    whole = pb.InstanceRef(project=door.project, study_uid=stored.study_uid)
    request = pb.RenderRequest(instance=whole, media_type="image/png", viewport=pb.Viewport(width=64, height=64))
    picture = await door.client.call(door.stub.Render, request)
    assert Image.open(io.BytesIO(picture.data)).size == (64, 64)
    for wrong in (pb.Window(width=0), pb.Window(width=1, function="cubic")):
        request = pb.RenderRequest(instance=one, media_type="image/png", window=wrong)
        with pytest.raises(RemoteError) as refused:
            await door.client.call(door.stub.Render, request)
        assert refused.value.reason == "INVALID_ARGUMENT"
    request = pb.RenderRequest(instance=one, media_type="image/png", frame=2)
    with pytest.raises(RemoteError) as refused:
        await door.client.call(door.stub.Render, request)
    assert refused.value.reason == "FRAME_UNKNOWN"
