"""Builders of NIfTI and NRRD files, written by other programs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

PLANTED = {"descrip": "Planted Patricia", "aux_file": "PLANTED-4711", "intent_name": "Plantedhosp"}


def an_affine(
    *,
    angles: tuple[float, float, float] = (20, -35, 70),
    spacing_mm: tuple[float, ...] = (1.25, 1.5, 8.0),
    flip: int = 1,
) -> NDArray[np.float64]:
    """(column, row, slice, 1) -> RAS mm; oblique, and left-handed with `flip` -1."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ np.diag(spacing_mm)
    affine[:3, 2] *= flip
    affine[:3, 3] = (-81.5, 23.25, 140.0)
    return affine


def numbers(shape: tuple[int, ...] = (12, 9, 4), *, seed: int = 0, high: int = 1500) -> NDArray[np.int16]:
    """(column, row, slice[, time])."""
    return np.random.default_rng(seed).integers(0, high, shape).astype(np.int16)


def a_nifti(values: NDArray[np.generic], affine: NDArray[np.float64] | None = None, *, step_s: float = 0.0) -> bytes:
    """NIfTI-1 with free texts that name somebody."""
    image = nibabel.Nifti1Image(values, an_affine() if affine is None else affine, dtype=values.dtype)
    for name, text in PLANTED.items():
        image.header[name] = text
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"Planted^Patricia 19510417"))
    if step_s:
        image.header.set_xyzt_units("mm", "sec")
        image.header["pixdim"][4] = step_s
    return bytes(image.to_bytes())


def an_nrrd(values: NDArray[np.generic], *, seed: int = 3) -> tuple[bytes, SimpleITK.Image]:
    """As SimpleITK writes it, with planted key/value pairs, and the image that it was.

    Args:
        values: (slice, row, column).
        seed: of the orientation.
    """
    image = SimpleITK.GetImageFromArray(values)
    image.SetDirection(Rotation.random(random_state=seed).as_matrix().ravel().tolist())
    image.SetSpacing((1.25, 1.5, 8.0))
    image.SetOrigin((-81.5, 23.25, 140.0))
    image.SetMetaData("Patient", "Planted Patricia PLANTED-4711")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.nrrd")
        SimpleITK.WriteImage(image, str(path), useCompression=True)
        return path.read_bytes(), image
