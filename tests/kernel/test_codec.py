"""What you learn here: the one file format between rooms, and that hostile files are refused with a typed error."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import io

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_kernel import Geometry, LabelTable, Mask, Volume, decode_mask, decode_volume, encode_mask, encode_volume
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.errors import BadVolumeFile, IrpError, TooLarge, UnknownStructure
from irp_kernel.nrrd import read_nrrd

HEART = LabelTable.canonical(["lv_blood_pool", "lv_myocardium"])


def an_oblique_geometry(shape: tuple[int, int, int] = (3, 5, 6), frames: int = 2) -> Geometry:
    return Geometry.from_dicom(
        position_mm=(-101.123456789, 33.3, 7.7),
        row_direction=(0.8, 0.6, 0.0),
        column_direction=(-0.36, 0.48, 0.8),
        spacing_mm=(8.25, 1.40625, 1.36719),
        shape=shape,
        frames=frames,
        frame_times_ms=tuple(41.7 * n for n in range(frames)),
    )


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "float32", "float64"])
@pytest.mark.parametrize("media_type", [NRRD, NIFTI])
def test_a_volume_comes_back_bit_equal_on_the_same_grid(dtype: str, media_type: str) -> None:
    geometry = an_oblique_geometry()
    array = np.random.default_rng(0).integers(-90, 90, geometry.array_shape).astype(dtype)
    back = decode_volume(encode_volume(Volume(geometry=geometry, array=array), media_type))
    assert back.array.dtype == dtype
    assert np.array_equal(back.array, array)
    assert back.geometry.grid_distance_mm(geometry) < (1e-12 if media_type == NRRD else 1e-4)


def test_nibabel_reads_our_nifti_where_we_say_it_lies() -> None:
    geometry = an_oblique_geometry(frames=1)
    array = np.arange(90, dtype=np.int16).reshape(geometry.array_shape)
    image = nibabel.Nifti1Image.from_bytes(
        gzip.decompress(encode_volume(Volume(geometry=geometry, array=array), NIFTI))
    )
    assert np.array_equal(np.asarray(image.dataobj), array[0].transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    assert np.allclose(lps @ [3, 2, 1, 1], [*geometry.to_patient(np.array([1.0, 2.0, 3.0])), 1], atol=1e-4)


@pytest.mark.parametrize(
    ("times_ms", "zoom", "unit"),
    [
        ((0.0, 41.7, 83.4), 41.7, "msec"),
        ((10.0, 52.0, 93.0), 41.5, "msec"),  # rounded by the scanner
        ((0.0, 10.0, 100.0), 1.0, "unknown"),
        ((0.0, 0.0, 0.0), 1.0, "unknown"),
        ((), 1.0, "unknown"),
    ],
)
def test_a_nifti_file_tells_the_time_between_frames_only_where_it_is_one_time(
    times_ms: tuple[float, ...], zoom: float, unit: str
) -> None:
    geometry = dataclasses.replace(an_oblique_geometry(frames=3), frame_times_ms=times_ms)
    volume = Volume(geometry=geometry, array=np.zeros(geometry.array_shape, dtype=np.int16))
    header = nibabel.Nifti1Image.from_bytes(gzip.decompress(encode_volume(volume, NIFTI))).header
    assert header.get_zooms()[3] == pytest.approx(zoom)
    assert header.get_xyzt_units() == ("mm", unit)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_we_read_nibabels_nifti_with_scaling_and_qform(kind: type) -> None:
    affine = np.array([[-1.3, 0, 0, 90], [0, 0, -2.0, 14], [0, 1.3, 0, -70], [0, 0, 0, 1.0]])
    image = kind(np.arange(24, dtype=np.int16).reshape(4, 3, 2), None)
    image.header.set_slope_inter(0.5, 10)
    image.set_qform(affine, code=1)
    image.set_sform(None, code=0)
    file = io.BytesIO()
    image.to_file_map({"image": nibabel.FileHolder(fileobj=file), "header": nibabel.FileHolder(fileobj=file)})
    ours = decode_volume(file.getvalue())
    theirs = kind.from_bytes(file.getvalue())
    assert np.allclose(ours.array[0], np.asarray(theirs.dataobj).transpose(2, 1, 0))
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    assert np.allclose(ours.geometry.to_patient(np.array([1.0, 2.0, 3.0])), (lps @ [3, 2, 1, 1])[:3], atol=1e-4)


def test_a_mask_remembers_what_was_judged() -> None:
    geometry = an_oblique_geometry()
    labels = np.zeros(geometry.array_shape, np.uint8)
    labels[0, 1, 2:4, 2:4] = 1
    annotated = np.zeros((2, 3, 2), np.bool_)
    annotated[0, :, 0] = True
    back = decode_mask(encode_mask(Mask(geometry=geometry, labels=labels, table=HEART, annotated=annotated)))
    assert np.array_equal(back.annotated, annotated)
    assert back.table == HEART
    assert back.judged("lv_myocardium").sum() == 0
    assert back.judged("rv_blood_pool").sum() == 0


def test_a_file_without_table_counts_as_judged_only_where_it_is_labelled() -> None:
    geometry = an_oblique_geometry()
    labels = np.zeros(geometry.array_shape, np.uint8)
    labels[1, 2, 0, 0] = 2
    mask = decode_mask(encode_mask(Mask.fully_annotated(geometry, labels, HEART), NIFTI), HEART)
    assert mask.judged("lv_myocardium").tolist() == [[False, False, False], [False, False, True]]


def test_a_value_that_no_table_names_is_refused() -> None:
    geometry = an_oblique_geometry()
    with pytest.raises(UnknownStructure):
        Mask.fully_annotated(geometry, np.full(geometry.array_shape, 9, np.uint8), HEART)


def test_slicers_component_axis_is_time() -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 4 3 1\n"
        "space directions: none (1,0,0) (0,1,0) (0,0,8)\nkinds: list domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (0,0,0)\n\n"
    )
    nrrd = read_nrrd(header.encode() + np.arange(24, dtype="<i2").tobytes())
    assert nrrd.array.shape == (2, 1, 3, 4)
    assert nrrd.array[:, 0, 0, 0].tolist() == [0, 1]


def test_a_header_that_promises_too_much_is_refused_before_it_is_inflated() -> None:
    header = (
        "NRRD0005\ntype: double\ndimension: 4\nspace: left-posterior-superior\nsizes: 99999 99999 99 99\n"
        "space directions: (1,0,0) (0,1,0) (0,0,1) none\nendian: little\nencoding: gzip\nspace origin: (0,0,0)\n\n"
    )
    with pytest.raises(TooLarge):
        decode_volume(header.encode() + b"\x1f\x8b")


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_file_is_a_typed_error_or_a_volume(data: st.DataObject) -> None:
    media_type = data.draw(st.sampled_from([NRRD, NIFTI]))
    geometry = an_oblique_geometry(shape=(1, 2, 3), frames=1)
    good = bytearray(encode_volume(Volume(geometry=geometry, array=np.ones(geometry.array_shape)), media_type))
    for _ in range(data.draw(st.integers(1, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(IrpError):
        decode_volume(bytes(good[: data.draw(st.integers(0, len(good)))]))


def test_nonsense_is_not_a_volume() -> None:
    with pytest.raises(BadVolumeFile):
        decode_volume(b"this is a text")
