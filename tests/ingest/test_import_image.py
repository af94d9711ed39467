"""What you learn here: a NIfTI or NRRD file lies in DICOM where nibabel and SimpleITK see it, with its values."""

from __future__ import annotations

import gzip
import io
import itertools
import struct
from collections.abc import Callable

import highdicom
import nibabel
import numpy as np
import pytest
from irp_ingest.domain import imported
from irp_ingest.domain.errors import (
    ImageDegenerate,
    ImagePlaceContradicted,
    ImageSheared,
    ImageTooWide,
    ImportNotDescribed,
    ImportNotFinite,
)
from irp_ingest.domain.functional_groups import planes_of
from irp_ingest.domain.imported import read_image
from irp_ingest.domain.imported_dicom import Description, to_instances
from irp_ingest.domain.intake import Order, take_in
from irp_ingest.domain.pixels import build_volume
from irp_ingest.domain.plane import Frame
from irp_ingest.domain.stack import arrange
from irp_ingest.domain.stored_values import TOLERANCE
from irp_kernel import Volume, decode_volume, encode_volume
from irp_kernel.errors import BadVolumeFile, IrpError, TooLarge
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes

from .images import a_nifti, an_affine, an_nrrd, numbers

LIMIT = 64 << 20
SAID = Description(patient="PLANTED-4711", description="LGE sax")
TOLERANCE_MM = 0.001


def datasets(data: bytes, said: Description = SAID) -> list[Dataset]:
    return [dcmread(io.BytesIO(file)) for file in to_instances(data, said, LIMIT)]


def assembled(data: bytes) -> Volume:
    """As ingest assembles the series of a file."""
    files = to_instances(data, SAID, LIMIT)
    found = {ds.SOPInstanceUID: (index, planes_of(ds)[0]) for index, ds in enumerate(datasets(data))}
    stack = arrange({Frame(uid): plane for uid, (_, plane) in found.items()})
    order = [[(found[frame.uid][0], 1) for frame in phase] for phase in stack.order]
    return decode_volume(build_volume(files, order, stack.geometry))


def lps_of(affine: NDArray[np.float64], index: tuple[int, ...]) -> NDArray[np.float64]:
    return np.asarray((np.diag([-1.0, -1, 1, 1]) @ affine @ [*index, 1])[:3])


@pytest.mark.parametrize("flip", [1, -1])
@pytest.mark.parametrize("angles", [(0, 0, 0), (20, -35, 70), (180, 0, 0), (0, 90, 0), (-100, 5, 170)])
def test_each_voxel_lies_where_nibabel_sees_it_and_has_its_value(angles: tuple[float, float, float], flip: int) -> None:
    values, affine = numbers(), an_affine(angles=angles, flip=flip)
    data = a_nifti(values, affine)
    judge = nibabel.Nifti1Image.from_bytes(data)
    volume = assembled(data)
    for index in itertools.product((0, 11), (0, 8), (0, 1, 3)):
        place = volume.geometry.to_index(lps_of(judge.affine, index))
        s, r, c = np.rint(place).astype(int)
        distance = np.linalg.norm(volume.geometry.to_patient(np.array([s, r, c])) - lps_of(judge.affine, index))
        assert distance < TOLERANCE_MM
        assert volume.array[0, s, r, c] == values[index]
    assert volume.array.dtype == np.int16


@pytest.mark.parametrize("seed", range(5))
def test_each_voxel_lies_where_simpleitk_sees_it_and_has_its_value(seed: int) -> None:
    values = numbers((4, 9, 12), seed=seed)
    data, judge = an_nrrd(values, seed=seed)
    volume = assembled(data)
    for s, r, c in itertools.product((0, 1, 3), (0, 8), (0, 11)):
        point = np.array(judge.TransformIndexToPhysicalPoint((c, r, s)))
        at = tuple(np.rint(volume.geometry.to_index(point)).astype(int))
        assert np.linalg.norm(volume.geometry.to_patient(np.array(at)) - point) < TOLERANCE_MM
        assert volume.array[(0, *at)] == values[s, r, c]


def test_a_single_slice_is_as_thick_as_its_axis_says() -> None:
    assert assembled(a_nifti(numbers((12, 9, 1)))).geometry.spacing_mm == pytest.approx((8.0, 1.5, 1.25), abs=1e-5)


@pytest.mark.parametrize(("step_s", "times_ms"), [(0.04, (0.0, 40.0, 80.0)), (0.0, ())])
def test_the_fourth_axis_is_time(step_s: float, times_ms: tuple[float, ...]) -> None:
    values = numbers((12, 9, 4, 3))
    volume = assembled(a_nifti(values, np.diag([1.25, 1.5, 8.0, 1]), step_s=step_s))
    assert volume.array.shape == (3, 4, 9, 12)
    assert volume.geometry.frame_times_ms == pytest.approx(times_ms)
    assert [volume.array[t].sum() for t in range(3)] == [values[..., t].sum() for t in range(3)]


def test_what_this_house_exports_as_nrrd_comes_back_with_its_times() -> None:
    there = assembled(a_nifti(numbers((12, 9, 4, 3)), step_s=0.04))
    back = assembled(encode_volume(there))
    assert back.geometry.grid_distance_mm(there.geometry) < TOLERANCE_MM
    assert back.geometry.frame_times_ms == there.geometry.frame_times_ms
    assert (back.array == there.array).all()


@pytest.mark.parametrize(
    "values",
    [
        np.array([-32768, 0, 32767], dtype=np.int16),
        np.array([0, 1, 65535], dtype=np.uint16),
        np.array([-5, 0, 65530], dtype=np.int32),
        np.array([10**9, 10**9 + 7, 10**9 + 65535], dtype=np.int64),
        np.array([0.0, 3.0, 4095.0], dtype=np.float32),
    ],
)
def test_whole_numbers_stay_exactly_what_they_are(values: NDArray[np.generic]) -> None:
    found = [
        ds.pixel_array * ds.RescaleSlope + ds.RescaleIntercept for ds in datasets(a_nifti(values.reshape(3, 1, 1)))
    ]
    assert np.ravel(found).tolist() == values.tolist()


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, -0.4])
def test_fractions_lose_less_than_the_stated_tolerance(scale: float, offset: float) -> None:
    values = (np.random.default_rng(1).random((12, 9, 4)) + offset) * scale
    stored = read_image(a_nifti(values), max_bytes=LIMIT).stored
    back = stored.array[0] * float(stored.slope) + float(stored.intercept)
    low, high = np.percentile(values, (1, 99))
    assert np.abs(back - values.T).max() <= TOLERANCE * (high - low)
    assert np.abs(back - values.T).max() <= np.ptp(values) / 130_000


def test_scl_slope_and_inter_are_applied() -> None:
    image = nibabel.Nifti1Image(numbers(), an_affine())
    image.header.set_slope_inter(2.0, -1000.0)
    judge = nibabel.Nifti1Image.from_bytes(image.to_bytes())
    stored = read_image(image.to_bytes(), max_bytes=LIMIT).stored
    back = stored.array[0] * float(stored.slope) + float(stored.intercept)
    assert np.allclose(back, np.asarray(judge.dataobj).T, atol=0.01)


def an_outlier() -> NDArray[np.float64]:
    values = np.random.default_rng(1).random((12, 9, 4))
    values[0, 0, 0] = 1e6
    return values


def a_sheared() -> NDArray[np.float64]:
    affine = an_affine()
    affine[:3, 2] += 0.1 * affine[:3, 0]
    return affine


def with_value(value: float) -> NDArray[np.float32]:
    values = numbers().astype(np.float32)
    values[1, 1, 1] = value
    return values


def contradicted() -> bytes:
    image = nibabel.Nifti1Image(numbers(), an_affine())
    image.set_qform(an_affine(angles=(0, 0, 0)), 1)
    return bytes(image.to_bytes())


def flat() -> bytes:
    data = bytearray(a_nifti(numbers()))
    struct.pack_into("<12f", data, 280, *np.diag([1.0, 1.0, 0.0, 1.0])[:3].ravel())
    return bytes(data)


def a_wide_nrrd() -> bytes:
    lines = ["NRRD0004", "type: uint8", "dimension: 3", "space: lps", f"sizes: {imported.MAX_SIDE + 1} 1 1"]
    lines += ["space directions: (1,0,0) (0,1,0) (0,0,1)", "space origin: (0,0,0)", "encoding: raw", "", ""]
    return "\n".join(lines).encode() + bytes(imported.MAX_SIDE + 1)


REFUSED: list[tuple[Callable[[], bytes], type[IrpError]]] = [
    (lambda: a_nifti(with_value(np.nan)), ImportNotFinite),
    (lambda: a_nifti(with_value(-np.inf)), ImportNotFinite),
    (lambda: a_nifti(an_outlier()), ImageTooWide),
    (lambda: a_nifti(np.array([0, 65536], dtype=np.int32).reshape(2, 1, 1)), ImageTooWide),
    (lambda: a_nifti(np.array([-1.5e308, 1.7e308, 0.5]).reshape(3, 1, 1)), ImageTooWide),
    (lambda: a_nifti(numbers(), a_sheared()), ImageSheared),
    (lambda: a_nifti(numbers(), np.diag([1e9, 1.0, 1.0, 1.0])), ImageDegenerate),
    (flat, ImageDegenerate),
    (contradicted, ImagePlaceContradicted),
    (lambda: bytes(4096), BadVolumeFile),
    (lambda: b"NRRD0004\ntype: short\n", BadVolumeFile),
    (lambda: b"", BadVolumeFile),
    (lambda: a_nifti(numbers())[:-1], BadVolumeFile),
    (lambda: gzip.compress(bytes(1 << 23)), BadVolumeFile),
    (lambda: a_nifti(np.zeros((512, 512, 65), dtype=np.int16)), TooLarge),
    (lambda: gzip.compress(a_nifti(np.zeros((512, 512, 40), dtype=np.int16))), TooLarge),
    (lambda: a_nifti(np.zeros((1, 1, imported.MAX_IMAGES + 1), dtype=np.int16)), TooLarge),
    (a_wide_nrrd, TooLarge),
]


@pytest.mark.parametrize(("file", "error"), REFUSED)
def test_what_cannot_be_told_rightly_in_dicom_is_refused_with_its_reason(
    file: Callable[[], bytes], error: type[IrpError]
) -> None:
    with pytest.raises(error):
        read_image(file(), max_bytes=32 << 20)


def test_the_same_image_has_the_same_instances_however_its_file_is_packed() -> None:
    data = a_nifti(numbers())
    assert to_instances(data, SAID, LIMIT) == to_instances(gzip.compress(data), SAID, LIMIT)
    uids = {ds.SOPInstanceUID for ds in datasets(data)}
    assert len(uids) == 4
    other = numbers()
    other[0, 0, 0] += 1
    assert uids.isdisjoint(ds.SOPInstanceUID for ds in datasets(a_nifti(other)))


def test_free_texts_of_the_file_are_in_no_instance() -> None:
    for data in (a_nifti(numbers()), an_nrrd(numbers((4, 9, 12)))[0]):
        made = b"".join(to_instances(data, Description(patient="P-1"), LIMIT))
        assert b"Planted" in data
        assert b"Planted" not in made
        assert b"PLANTED" not in made


@pytest.mark.parametrize(
    "words",
    [{"patient": " "}, {"modality": "US"}, {"description": "a\nb"}, {"sequence": "x" * 65}, {"patient": "a\\b"}],
)
def test_what_goes_with_an_image_is_short_and_printable(words: dict[str, str]) -> None:
    with pytest.raises(ImportNotDescribed):
        Description(**({"patient": "P-1"} | words))


@pytest.mark.parametrize("modality", ["MR", "CT"])
def test_highdicom_makes_a_segmentation_of_the_de_identified_instances(modality: str) -> None:
    order = Order(site_key=b"k" * 32, options=frozenset({"113105"}), sequences=(), study_uid="")
    files = to_instances(a_nifti(numbers()), Description(patient="P-1", modality=modality), LIMIT)
    sources = [dcmread(io.BytesIO(take_in(file, order).data)) for file in files]
    wall = highdicom.seg.SegmentDescription(1, "wall", codes.SCT.Organ, codes.SCT.Heart, "MANUAL")
    made = highdicom.seg.Segmentation(
        sources, np.ones((4, 9, 12), dtype=np.uint8), "BINARY", [wall], highdicom.UID(), 1, highdicom.UID(), 1,
        "maker", "model", "1", "1",
    )  # fmt: skip
    assert made.NumberOfFrames == 4
    assert made.FrameOfReferenceUID == sources[0].FrameOfReferenceUID
