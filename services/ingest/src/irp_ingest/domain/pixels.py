"""De-identified instances -> the voxels of a volume; runs in a worker process."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from irp_deid import quietly
from irp_kernel import Geometry, Volume, encode_volume
from numpy.typing import NDArray
from pydicom import dcmread

from irp_ingest.domain.errors import PixelsNotReadable


def build_volume(files: list[list[bytes]], geometry: Geometry) -> bytes:
    """Decode instances by [time][slice] into an encoded volume.

    Integers stay integers where no rescaling makes fractions.

    Raises:
        PixelsNotReadable: an image cannot be decoded, or is not one grey image.
    """
    with quietly():
        planes = [[_pixels(file, geometry.shape[1:]) for file in phase] for phase in files]
    array = np.array(planes)
    return encode_volume(Volume(geometry=geometry, array=_smallest(array)))


def _pixels(file: bytes, matrix: tuple[int, int]) -> NDArray[Any]:
    try:
        dataset = dcmread(io.BytesIO(file))
        pixels = dataset.pixel_array
        slope = float(dataset.get("RescaleSlope") or 1.0)
        intercept = float(dataset.get("RescaleIntercept") or 0.0)
    except Exception:
        # decoders raise what they like
        raise PixelsNotReadable from None
    if pixels.shape != matrix:
        raise PixelsNotReadable("an image is not one grey image of the series' matrix")
    if (slope, intercept) == (1.0, 0.0):
        return np.asarray(pixels)
    return np.asarray(pixels * slope + intercept)


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """int16 if every value is a whole number in its range, else int32 or float32."""
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        return array.astype(np.float32)
    info = np.iinfo(np.int16)
    fits = array.min() >= info.min and array.max() <= info.max
    return array.astype(np.int16 if fits else np.int32)
