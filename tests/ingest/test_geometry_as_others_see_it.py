"""What you learn here: SimpleITK, highdicom and nibabel see each voxel of a series where and as we do.

Any orientation, spacing, number of slices and order of arrival; as single images and as frames of one instance.
"""

from __future__ import annotations

import gzip
import io
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_ingest.domain.functional_groups import planes_of
from irp_ingest.domain.pixels import build_volume
from irp_ingest.domain.plane import Frame
from irp_ingest.domain.stack import arrange
from irp_kernel import Volume, decode_volume, encode_volume
from irp_kernel.codec import NIFTI
from pydicom import Dataset, dcmread
from pydicom.valuerep import DSfloat

from .conftest import an_image, to_bytes
from .enhanced import an_enhanced_image

TOLERANCE_MM = 1e-3  # at every corner; decimal strings of 16 characters and NIfTI's float32 stay below it


@dataclass(frozen=True)
class Series:
    """A series of slices in the order of their arrival, told once and written in two ways."""

    pixels: np.ndarray  # (image, row, column)
    positions_mm: np.ndarray
    orientation: list[float]
    spacing_mm: list[float]

    def images(self) -> list[bytes]:
        return [to_bytes(self._image(at)) for at in range(len(self.pixels))]

    def frames(self) -> bytes:
        ds = an_enhanced_image(
            self.pixels, self.positions_mm.tolist(), orientation=self.orientation, spacing=self.spacing_mm
        )
        return to_bytes(ds)

    def _image(self, at: int) -> Dataset:
        ds = an_image(self.pixels[at])
        ds.SOPInstanceUID, ds.SeriesInstanceUID, ds.StudyInstanceUID = f"1.2.3.{at + 1}", "1.2.3", "1.2"
        ds.FrameOfReferenceUID, ds.InstanceNumber = "1.2.4", at + 1
        ds.ImageOrientationPatient = [_ds(x) for x in self.orientation]
        ds.ImagePositionPatient = [_ds(x) for x in self.positions_mm[at]]
        ds.PixelSpacing = [_ds(x) for x in self.spacing_mm]
        ds.RescaleSlope, ds.RescaleIntercept = 1, -7
        return ds


def _ds(number: float) -> DSfloat:
    return DSfloat(float(number), auto_format=True)


angles = st.floats(-3.1, 3.1)
lengths = st.floats(0.3, 12.0)


@st.composite
def a_series(draw: st.DrawFn) -> Series:
    a, b, c = draw(angles), draw(angles), draw(angles)
    row = np.array([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)])
    aside = np.array([-np.sin(a), np.cos(a), 0.0])
    column = np.cos(c) * aside + np.sin(c) * np.cross(row, aside)
    order = draw(st.permutations(range(draw(st.integers(2, 5)))))
    corner = np.array(draw(st.tuples(*[st.floats(-300, 300)] * 3)))
    positions = corner + np.outer(order, np.cross(row, column) * draw(lengths))
    pixels = np.random.default_rng(draw(st.integers(0, 99))).integers(0, 4096, (len(order), 3, 4))
    return Series(pixels, positions, [*map(float, row), *map(float, column)], [draw(lengths), draw(lengths)])


def ours(files: Mapping[str, bytes]) -> Volume:
    planes = {
        Frame(uid, number): plane
        for uid, file in files.items()
        for number, plane in enumerate(planes_of(dcmread(io.BytesIO(file))), 1)
    }
    stack, at = arrange(planes), list(files)
    order = [[(at.index(frame.uid), frame.number) for frame in phase] for phase in stack.order]
    return decode_volume(build_volume(list(files.values()), order, stack.geometry))


def corners(volume: Volume) -> np.ndarray:
    """Indices (slice, row, column) of the first voxel, and of the last along each axis."""
    return np.vstack([np.zeros(3), np.diag(np.array(volume.geometry.shape) - 1.0)])


def as_simpleitk_sees(files: list[bytes]) -> SimpleITK.Image:
    with tempfile.TemporaryDirectory() as folder:
        for at, file in enumerate(files):
            Path(folder, f"{at}.dcm").write_bytes(file)
        reader = SimpleITK.ImageSeriesReader()
        reader.SetFileNames(reader.GetGDCMSeriesFileNames(folder))
        return reader.Execute()


@given(series=a_series())
@settings(max_examples=15, deadline=None)
def test_simpleitk_sees_single_images_as_we_do(series: Series) -> None:
    files = series.images()
    volume, theirs = ours({str(at): file for at, file in enumerate(files)}), as_simpleitk_sees(files)
    assert np.array_equal(SimpleITK.GetArrayFromImage(theirs), volume.array[0])
    points = [theirs.TransformContinuousIndexToPhysicalPoint(corner[::-1].tolist()) for corner in corners(volume)]
    assert np.allclose(points, volume.geometry.to_patient(corners(volume)), atol=TOLERANCE_MM)


@given(series=a_series())
@settings(max_examples=15, deadline=None)
def test_highdicom_sees_single_images_and_frames_as_we_do(series: Series) -> None:
    files = series.images()
    single = ours({str(at): file for at, file in enumerate(files)})
    theirs = highdicom.get_volume_from_series([dcmread(io.BytesIO(file)) for file in files])
    require_alike(single, theirs)
    frames = ours({"a": series.frames()})
    assert np.array_equal(frames.array, single.array + 7)  # those are not rescaled
    frames.geometry.require_same_grid(single.geometry, tolerance_mm=TOLERANCE_MM)
    require_alike(frames, highdicom.imread(io.BytesIO(series.frames())).get_volume())


def require_alike(volume: Volume, theirs: highdicom.Volume) -> None:
    """The same voxel values at the same points; highdicom may run through the slices either way."""
    geometry = highdicom.VolumeGeometry(volume.geometry.matrix, volume.geometry.shape, "PATIENT")
    matched = theirs.match_geometry(geometry, tol=TOLERANCE_MM)
    assert np.array_equal(matched.array, volume.array[0])


@given(series=a_series())
@settings(max_examples=15, deadline=None)
def test_nibabel_sees_the_exported_volume_as_we_do(series: Series) -> None:
    volume = ours({"a": series.frames()})
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(encode_volume(volume, NIFTI)))
    indices = corners(volume)
    right_anterior_superior = nibabel.affines.apply_affine(image.affine, indices[:, ::-1])
    assert np.allclose(right_anterior_superior * (-1, -1, 1), volume.geometry.to_patient(indices), atol=TOLERANCE_MM)
    assert np.array_equal(np.asarray(image.dataobj).transpose(2, 1, 0), volume.array[0])
