"""What you learn here: a mask keeps every voxel and every "unknown" through NRRD, contours and DICOM SEG.

highdicom is the judge of the SEG.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest
from irp_annotation.domain.errors import (
    BadContours,
    BadLabelTable,
    BadSegmentationObject,
    EpicardiumAlone,
    FramesNotPlaced,
    NothingDrawn,
)
from irp_annotation.domain.formats import DICOM, JSON, Upload, decode_upload, encode_answer
from irp_annotation.domain.seg_write import write_seg
from irp_annotation.domain.series import Place
from irp_kernel import encode_mask
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.errors import GeometryMismatch, IrpError, NotAcceptable, UnknownStructure, UnsupportedMediaType

from .series import STRUCTURES, a_context, a_grid, a_mask, in_one_instance, same

GRID = a_grid()
DIRECTIONS = [(0.8, 0.6, 0.0), (-0.8, -0.6, 0.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0)]  # stacks that run either way
MASK = a_mask(GRID)


def received(body: bytes, media_type: str, grid: Any = GRID, **said: str) -> Any:
    return decode_upload(Upload(media_type=media_type, body=body, **said), grid, STRUCTURES)


@pytest.mark.parametrize("row_direction", DIRECTIONS)
@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("media_type", [NRRD, DICOM, JSON])
def test_what_goes_out_comes_back_voxel_for_voxel_with_what_is_unknown(
    media_type: str, frames: int, row_direction: tuple[float, float, float]
) -> None:
    grid = a_grid(frames=frames, row_direction=row_direction)
    mask = a_mask(grid)
    body = encode_answer(mask, media_type, "1.2.3.4", a_context(grid))
    assert same(received(body, media_type, grid), mask)


def test_nifti_needs_its_labels_named() -> None:
    table = json.dumps({"1": {"name": "lv_blood_pool"}, "2": {"name": "lv_myocardium"}})
    back = received(encode_mask(MASK, NIFTI), NIFTI, label_table=table)
    assert np.array_equal(back.labels, MASK.labels)
    assert not back.judged("lv_myocardium")[1].any(), "where nothing is labelled nothing was said"


def test_highdicom_reads_the_segmentation() -> None:
    data = write_seg(MASK, a_context(GRID))
    seg = highdicom.seg.segread(io.BytesIO(data))
    assert list(seg.segment_numbers) == [1, 2]
    assert [seg.get_segment_description(n).segment_label for n in (1, 2)] == ["lv_blood_pool", "lv_myocardium"]
    pool = seg.get_segment_description(1)
    assert (pool.segmented_property_type.value, pool.anatomic_regions[0].value) == ("87612001", "87878005")
    uids = [place.uid for row in GRID.instances for place in row]
    pixels = seg.get_pixels_by_source_instance(
        uids, segment_numbers=[1], ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    expected = MASK.of("lv_blood_pool").reshape(-1, *GRID.geometry.shape[1:])
    assert np.array_equal(pixels[..., 0].astype(bool), expected)
    assert seg.PatientIdentityRemoved == "YES"


@pytest.mark.parametrize("row_direction", DIRECTIONS)
@pytest.mark.parametrize("frames", [1, 2])
def test_the_frames_of_a_seg_lie_where_the_voxels_lie(row_direction: tuple[float, float, float], frames: int) -> None:
    grid = a_grid(frames=frames, row_direction=row_direction)
    seg = pydicom.dcmread(io.BytesIO(write_seg(a_mask(grid), a_context(grid))))
    for item in seg.PerFrameFunctionalGroupsSequence:
        uid = item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        place = next(row.index(Place(uid)) for row in grid.instances if Place(uid) in row)
        expected = grid.geometry.to_patient(np.array([place, 0.0, 0.0]))
        assert np.allclose([float(x) for x in item.PlanePositionSequence[0].ImagePositionPatient], expected, atol=1e-4)
    shared = seg.SharedFunctionalGroupsSequence[0]
    assert [float(x) for x in shared.PixelMeasuresSequence[0].PixelSpacing] == pytest.approx([1.25, 1.5])


@pytest.mark.parametrize("row_direction", DIRECTIONS)
@pytest.mark.parametrize("frames", [1, 2])
def test_a_seg_on_a_multi_frame_instance_names_the_frames(
    row_direction: tuple[float, float, float], frames: int
) -> None:
    grid = in_one_instance(a_grid(frames=frames, row_direction=row_direction))
    mask = a_mask(grid)
    data = write_seg(mask, a_context(grid))
    assert same(received(data, DICOM, grid), mask)
    seg = highdicom.seg.segread(io.BytesIO(data))
    (reference,) = seg.ReferencedSeriesSequence[0].ReferencedInstanceSequence
    assert reference.ReferencedSOPInstanceUID == "1.2.3.4"
    numbers = [place.frame for row in grid.instances for place in row]
    pixels = seg.get_pixels_by_source_frame(
        "1.2.3.4", numbers, segment_numbers=[1], ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    expected = mask.of("lv_blood_pool").reshape(-1, *grid.geometry.shape[1:])
    assert np.array_equal(pixels[..., 0].astype(bool), expected)
    if frames == 1:
        volume = seg.get_volume(segment_numbers=[1])
        ours = highdicom.VolumeGeometry(grid.geometry.matrix, grid.geometry.shape, "PATIENT")
        assert np.array_equal(volume.match_geometry(ours).array[..., 0].astype(bool), mask.of("lv_blood_pool")[0])


@pytest.mark.parametrize("slices", [1, 3])
@pytest.mark.parametrize("frames", [1, 2])
def test_a_seg_refers_to_the_images_of_the_series_and_to_no_others(frames: int, slices: int) -> None:
    grid = a_grid(frames=frames, slices=slices)
    for on in (grid, in_one_instance(grid)):
        seg = pydicom.dcmread(io.BytesIO(write_seg(a_mask(on), a_context(on))))
        named = {str(e.value) for e in seg.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
        assert named == {place.uid for row in on.instances for place in row}


def test_the_frames_of_a_cine_must_be_named() -> None:
    grid = in_one_instance(GRID)
    seg = pydicom.dcmread(io.BytesIO(write_seg(MASK, a_context(grid))))
    for item in seg.PerFrameFunctionalGroupsSequence:
        del item.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber
    file = io.BytesIO()
    seg.save_as(file, enforce_file_format=True)
    with pytest.raises(FramesNotPlaced):
        received(file.getvalue(), DICOM, grid)


def test_the_same_mask_is_the_same_file() -> None:
    assert write_seg(MASK, a_context(GRID)) == write_seg(MASK, a_context(GRID))


def test_endocardium_without_epicardium_leaves_the_myocardium_unknown() -> None:
    ring = [[8, 8], [20, 8], [20, 20], [8, 20]]
    outer = [[5, 5], [23, 5], [23, 23], [5, 23]]
    drawn = [
        {"structure": "lv_blood_pool", "frame": 0, "slice": 1, "points_px": ring},
        {"structure": "lv_epicardium", "frame": 0, "slice": 1, "points_px": outer},
        {"structure": "lv_blood_pool", "frame": 1, "slice": 1, "points_px": ring},
    ]
    mask = received(json.dumps({"contours": drawn}).encode(), JSON)
    assert mask.judged("lv_blood_pool").tolist() == [[False, True, False]] * 2
    assert mask.judged("lv_myocardium").tolist() == [[False, True, False], [False] * 3]
    assert mask.of("lv_myocardium")[0, 1].sum() == 18 * 18 - 12 * 12


def test_points_in_millimetres_are_points_in_pixels() -> None:
    ring = np.array([[8.0, 8.0], [20.0, 8.5], [19.0, 20.0], [8.0, 20.0]])
    index = np.column_stack([np.full(4, 2.0), ring[:, 1], ring[:, 0]])
    line = {"structure": "lv_blood_pool", "frame": 1}
    by_mm = {**line, "points_mm": GRID.geometry.to_patient(index).tolist()}
    by_px = {**line, "slice": 2, "points_px": ring.tolist()}
    one, two = (received(json.dumps({"contours": [entry]}).encode(), JSON) for entry in (by_mm, by_px))
    assert same(one, two)


def a_contour(**changes: Any) -> bytes:
    entry = {"structure": "lv_blood_pool", "frame": 0, "slice": 0, "points_px": [[3, 3], [9, 3], [9, 9]], **changes}
    return json.dumps({"contours": [entry]}).encode()


OTHER = a_grid(slices=4)
SEG = write_seg(MASK, a_context(GRID))


@pytest.mark.parametrize(
    ("upload", "error"),
    [
        (Upload(media_type="text/plain", body=b"hello"), UnsupportedMediaType),
        (Upload(media_type=NRRD, body=encode_mask(a_mask(OTHER))), GeometryMismatch),
        (Upload(media_type=NRRD, body=b"NRRD0005\nnot really"), IrpError),
        (Upload(media_type=NIFTI, body=b"\x1f\x8b" + b"\0" * 400), IrpError),
        (Upload(media_type=JSON, body=b"[1, 2"), BadContours),
        (Upload(media_type=JSON, body=b"[" * 100_000), BadContours),
        (Upload(media_type=JSON, body=b'{"contours": []}'), NothingDrawn),
        (Upload(media_type=JSON, body=a_contour(slice=3)), BadContours),
        (Upload(media_type=JSON, body=a_contour(points_px=[[3, 3], [9, 3], [9, 300]])), GeometryMismatch),
        (Upload(media_type=JSON, body=a_contour(points_px=[[3, 3], [9, 3], [float("nan"), 9]])), BadContours),
        (Upload(media_type=JSON, body=a_contour(structure="stomach")), UnknownStructure),
        (Upload(media_type=JSON, body=a_contour(structure="lv_epicardium")), EpicardiumAlone),
        (Upload(media_type=JSON, body=a_contour(), label_table="[]"), BadLabelTable),
        (Upload(media_type=DICOM, body=SEG[:900]), BadSegmentationObject),
        (Upload(media_type=DICOM, body=b"\0" * 128 + b"DICM"), BadSegmentationObject),
    ],
)
def test_what_does_not_fit_is_refused(upload: Upload, error: type[Exception]) -> None:
    with pytest.raises(error):
        decode_upload(upload, GRID, STRUCTURES)


def test_a_seg_of_another_series_is_refused() -> None:
    foreign = replace(GRID, instances=tuple(tuple(Place(f"9.{place.uid}") for place in row) for row in GRID.instances))
    with pytest.raises((FramesNotPlaced, GeometryMismatch)):
        received(SEG, DICOM, foreign)


def test_an_unknown_format_is_not_given() -> None:
    with pytest.raises(NotAcceptable):
        encode_answer(MASK, "image/png", "1.2.3.4", a_context(GRID))
