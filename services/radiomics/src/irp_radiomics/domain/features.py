"""PyRadiomics features of the pieces of one series; runs in a worker process.

The image is filtered once per filter and every piece is read from it: bit-equal to filtering it per piece as long as
nothing is resampled or cropped before.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK
from irp_kernel import Mask, Volume, decode_mask, decode_volume
from numpy.typing import NDArray
from radiomics import __version__, featureextractor, imageoperations

from irp_radiomics.domain.function import Function, cardiac_function
from irp_radiomics.domain.segments import pieces

logging.getLogger("radiomics").setLevel(logging.ERROR)

SETTINGS: dict[str, Any] = {
    "binCount": 32,
    "force2D": True,
    "force2Ddimension": 0,
    "sigma_mm": [3.0],
    "geometryTolerance": 1e-3,
}
PYRADIOMICS_VERSION = str(__version__)
CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
SETTINGS_HASH = hashlib.sha256(json.dumps({**SETTINGS, "classes": CLASSES}, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One feature of one piece."""

    kind: str
    roi: str
    feature: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Everything of one series."""

    values: list[Value]
    function: Function


def extract(volume_file: bytes, mask_file: bytes) -> Extracted:
    """Features of every piece at end-diastole, and the function of the series.

    Raises:
        GeometryMismatch: the mask lies on another grid.
    """
    volume, mask = decode_volume(volume_file), decode_mask(mask_file)
    volume.geometry.require_same_grid(mask.geometry)
    function = cardiac_function(mask)
    frame = max(function.ed_frame, 0)
    return Extracted(values=list(_values(volume, mask, frame)), function=function)


def _values(volume: Volume, mask: Mask, frame: int) -> list[Value]:
    found = pieces(mask, frame)
    if not found:
        return []
    image = _image(volume, volume.array[frame].astype(np.float64))
    union = _image(volume, np.any([piece.voxels for piece in found], axis=0).astype(np.uint8))
    log_images = imageoperations.getLoGImage(image, union, sigma=SETTINGS["sigma_mm"])
    filtered = {"original": image, **{name: log_image for log_image, name, _ in log_images}}
    extractor = featureextractor.RadiomicsFeatureExtractor(
        **{key: value for key, value in SETTINGS.items() if key != "sigma_mm"}
    )
    extractor.disableAllFeatures()
    for name in CLASSES:
        extractor.enableFeatureClassByName(name)
    values = []
    for piece in found:
        roi = _image(volume, piece.voxels.astype(np.uint8))
        for filter_name, filter_image in filtered.items():
            for feature, value in extractor.computeFeatures(filter_image, roi, filter_name).items():
                number = float(np.asarray(value))
                if np.isfinite(number):
                    values.append(Value(kind=piece.kind, roi=piece.name, feature=feature, value=number))
    return values


def _image(volume: Volume, array: NDArray[Any]) -> SimpleITK.Image:
    """A SimpleITK image on the volume's grid: x is the column, y the row, z the slice."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    matrix = volume.geometry.matrix
    slice_mm, row_mm, column_mm = volume.geometry.spacing_mm
    image.SetSpacing((column_mm, row_mm, slice_mm))
    image.SetOrigin(tuple(float(x) for x in matrix[:3, 3]))
    direction = matrix[:3, [2, 1, 0]] / (column_mm, row_mm, slice_mm)
    image.SetDirection(tuple(float(x) for x in direction.ravel()))
    return image


__all__ = ["PYRADIOMICS_VERSION", "SETTINGS_HASH", "Extracted", "Value", "extract"]
