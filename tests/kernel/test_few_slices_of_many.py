"""What you learn here: a file made of one slice is read by everybody as if all its zeros had been packed one by one."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK
from irp_annotation.domain.polygon import rasterise, trace
from irp_kernel import Geometry, LabelTable, decode_mask, encode_mask
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.errors import GeometryMismatch
from irp_kernel.outline import enclosed_area, outline
from irp_kernel.slices import LabelledSlices, encode_slices
from irp_kernel.sparse_gzip import sparse_gzip

GRID = Geometry(
    shape=(4, 30, 20),
    affine=((0.0, 0.0, 1.3, 5.0), (0.0, 1.3, 0.0, -7.0), (8.0, 0.0, 0.0, 2.0), (0.0, 0.0, 0.0, 1.0)),
    frames=3,
    frame_times_ms=(0.0, 40.0, 80.0),
)
TABLE = LabelTable.canonical(["lv_blood_pool", "lv_myocardium"])


def two_slices() -> LabelledSlices:
    labels = np.random.default_rng(0).integers(0, 3, (1, 2, 30, 20), dtype=np.uint8)
    labels[0, 1] = 0  # judged, and nothing found
    return LabelledSlices(geometry=GRID, labels=labels, frames=(1,), slices=(0, 2), table=TABLE)


def test_zeros_packed_once_are_plain_gzip() -> None:
    data = np.random.default_rng(1).bytes(1000)
    pieces: list[bytes | int] = [b"head", 65536, 65536, data, 70_000, 1, 0, data, 65536]
    plain = b"".join(piece if isinstance(piece, bytes) else bytes(piece) for piece in pieces)
    assert gzip.decompress(sparse_gzip(pieces)) == plain
    assert gzip.decompress(sparse_gzip([])) == b""


@pytest.mark.parametrize("media_type", [NRRD, NIFTI])
def test_the_house_reads_it_as_the_whole_mask(media_type: str) -> None:
    found = two_slices()
    one = decode_mask(encode_slices(found, media_type), TABLE)
    two = decode_mask(encode_mask(found.mask(), media_type), TABLE)
    assert np.array_equal(one.labels, two.labels)
    assert np.array_equal(one.annotated, two.annotated)
    one.geometry.require_same_grid(GRID)
    if media_type == NRRD:
        assert one.annotated.sum() == 2 * 2


@pytest.mark.parametrize(("media_type", "name"), [(NRRD, "m.nrrd"), (NIFTI, "m.nii.gz")])
def test_itk_reads_it(media_type: str, name: str, tmp_path: Path) -> None:
    found = two_slices()
    (tmp_path / name).write_bytes(encode_slices(found, media_type))
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / name)))
    if media_type == NRRD:  # the list of frames is a vector per voxel to ITK
        read = np.moveaxis(read, -1, 0)
    assert np.array_equal(read, found.mask().labels)


def test_nibabel_reads_it(tmp_path: Path) -> None:
    found = two_slices()
    (tmp_path / "m.nii.gz").write_bytes(encode_slices(found, NIFTI))
    read = np.asarray(nibabel.load(tmp_path / "m.nii.gz").dataobj)  # type: ignore[attr-defined]
    assert np.array_equal(read.T, found.mask().labels)


def test_labels_of_other_slices_are_refused() -> None:
    with pytest.raises(GeometryMismatch):
        LabelledSlices(geometry=GRID, labels=two_slices().labels, frames=(1,), slices=(0,), table=TABLE)


@pytest.mark.parametrize("seed", range(6))
def test_an_outline_is_the_border_that_contours_of_masks_have(seed: int) -> None:
    region = np.random.default_rng(seed).random((23, 17)) < 0.5  # full of corners, holes and edges of the image
    lines, other = outline(region), trace(region)
    assert np.array_equal(rasterise(lines, region.shape), region)
    assert sorted(map(enclosed_area, lines)) == pytest.approx(sorted(map(enclosed_area, other)))
    assert {tuple(sorted(map(tuple, line.tolist()))) for line in lines} == {
        tuple(sorted(map(tuple, line.tolist()))) for line in other
    }


def test_nothing_has_no_outline() -> None:
    assert outline(np.zeros((5, 5), dtype=np.bool_)) == []
