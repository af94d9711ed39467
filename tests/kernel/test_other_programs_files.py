"""What you learn here: what a header may not make the reader do, and what it says of time, units and place."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable

import nibabel
import numpy as np
import pytest
from irp_kernel.errors import BadVolumeFile, TooLarge
from irp_kernel.nifti import read_nifti
from irp_kernel.nrrd import read_nrrd

NRRD_LINES = {
    "type": "int16",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "2 2 2",
    "space directions": "(1,0,0) (0,1,0) (0,0,5)",
    "space origin": "(0,0,0)",
    "endian": "little",
    "encoding": "raw",
}


def a_nifti(
    *, shape: tuple[int, ...] = (4, 3, 2, 5), units: tuple[str, str] = ("mm", "sec"), step: float = 0.05
) -> bytes:
    image = nibabel.Nifti1Image(np.zeros(shape, dtype=np.int16), np.diag([2.0, 3, 4, 1]))
    image.header.set_xyzt_units(*units)
    if len(shape) > 3:
        image.header["pixdim"][4] = step
    return bytes(image.to_bytes())


def an_nrrd(**changed: str) -> bytes:
    said = NRRD_LINES | {name.replace("_", " "): value for name, value in changed.items()}
    head = "\n".join(["NRRD0004", *(f"{name}: {value}" for name, value in said.items()), "", ""])
    return head.encode() + bytes(16)


@pytest.mark.parametrize(
    ("units", "step", "told_ms"),
    [("sec", 0.05, 50.0), ("msec", 40.0, 40.0), ("usec", 40_000.0, 40.0), ("unknown", 40.0, 0.0), ("sec", 0.0, 0.0)],
)
def test_the_step_in_time_is_told_in_milliseconds_or_not_at_all(units: str, step: float, told_ms: float) -> None:
    assert read_nifti(a_nifti(units=("mm", units), step=step)).frame_step_ms == pytest.approx(told_ms)


@pytest.mark.parametrize("units", [("meter", "sec"), ("micron", "sec"), ("mm", "hz")])
def test_other_units_are_refused_instead_of_guessed(units: tuple[str, str]) -> None:
    with pytest.raises(BadVolumeFile):
        read_nifti(a_nifti(units=units))


def test_two_places_in_one_file_are_told_as_the_distance_of_a_corner() -> None:
    image = nibabel.Nifti1Image(np.zeros((4, 3, 2), dtype=np.int16), np.diag([2.0, 3, 4, 1]))
    image.set_qform(image.affine, 1)
    assert read_nifti(image.to_bytes()).doubt_mm < 1e-3
    moved = np.diag([2.0, 3, 4, 1])
    moved[:3, 3] = (0, 3.0, 4.0)
    image.set_qform(moved, 1)
    assert read_nifti(image.to_bytes()).doubt_mm == pytest.approx(5.0)


@pytest.mark.parametrize("offset", [1e15, float("inf"), float("nan"), -1.0, 8.0])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_offset_from_the_header_makes_nobody_inflate_a_bomb(offset: float, pack: Callable[[bytes], bytes]) -> None:
    data = bytearray(a_nifti(shape=(2, 2, 2)))
    struct.pack_into("<f", data, 108, offset)
    with pytest.raises(BadVolumeFile):
        read_nifti(pack(bytes(data)))


def test_sizes_are_looked_at_before_anything_is_inflated() -> None:
    image = nibabel.Nifti1Image(np.zeros((1, 1, 1), dtype=np.int16), np.eye(4))
    data = bytearray(image.to_bytes())
    struct.pack_into("<8h", data, 40, 3, 30_000, 30_000, 100, 1, 1, 1, 1)
    with pytest.raises(TooLarge):
        read_nifti(gzip.compress(bytes(data)), max_bytes=1 << 20)
    with pytest.raises(TooLarge):
        read_nrrd(an_nrrd(sizes="30000 30000 100"), max_bytes=1 << 20)


@pytest.mark.parametrize("kind", ["RGB", "complex"])
def test_colours_and_complex_numbers_are_refused(kind: str) -> None:
    dtype = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]) if kind == "RGB" else np.dtype(np.complex64)
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), dtype=dtype), np.eye(4))
    with pytest.raises(BadVolumeFile, match="one number per voxel"):
        read_nifti(image.to_bytes())


@pytest.mark.parametrize("name", ["data file", "Data File", "datafile"])
@pytest.mark.parametrize("value", ["/etc/passwd", "../../secret.raw", "LIST", "slice%03d.raw 1 9 1"])
def test_an_nrrd_that_names_other_files_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadVolumeFile, match="names a file"):
        read_nrrd(an_nrrd(**{name: value}))
    with pytest.raises(BadVolumeFile, match="names a file"):
        read_nrrd(an_nrrd().replace(b"endian:", f"{name}:{value}\nendian:".encode()))


def test_lengths_of_an_nrrd_are_millimetres() -> None:
    assert read_nrrd(an_nrrd(space_units='"mm" "mm" "mm"')).affine[2, 0] == 5.0
    with pytest.raises(BadVolumeFile, match="millimetres"):
        read_nrrd(an_nrrd(space_units='"um" "um" "um"'))
