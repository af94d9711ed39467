"""PyRadiomics features of the pieces of one series; runs in a worker process.

The image is filtered once and every piece reads the filtered image: bit-equal to PyRadiomics' own `execute` per piece
as long as nothing is resampled, normalised per region or pre-cropped, which the settings here never do.
"""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK
from irp_kernel import Mask, Volume, decode_mask, decode_volume
from irp_kernel.errors import IrpError
from numpy.typing import NDArray
from radiomics import __version__, featureextractor, imageoperations

from irp_radiomics.domain.errors import SeriesNotExtractable
from irp_radiomics.domain.function import Function, cardiac_function, wall_frame
from irp_radiomics.domain.pieces import Piece, divide

logging.getLogger("radiomics").setLevel(logging.CRITICAL)

# MR intensities have no unit: a fixed number of bins. Slices are several times thicker than pixels: texture in-plane.
SETTINGS: dict[str, Any] = {
    "binCount": 32,
    "force2D": True,
    "force2Ddimension": 0,
    "minimumROIDimensions": 1,
    "geometryTolerance": 1e-3,
    "additionalInfo": False,
}
LOG_SIGMAS_MM = (3.0,)
CLASSES = ("firstorder", "glcm", "glrlm", "glszm", "gldm", "ngtdm")
PYRADIOMICS_VERSION = str(__version__).removeprefix("v")
_HASHED = {"settings": SETTINGS, "log_sigma_mm": LOG_SIGMAS_MM, "classes": ("shape", *CLASSES)}
SETTINGS_HASH = hashlib.sha256(json.dumps(_HASHED, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One feature of one piece; `kind` and `roi` as in Piece, `feature` as PyRadiomics names it."""

    kind: str
    roi: str
    feature: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """Everything of one series.

    Attributes:
        values: features of every piece.
        function: volumes and ejection fraction.
        frame: the frame that the values were read from.
        septum: what told the septum, see Division.
        note: what a reader must know about the pieces.
    """

    values: list[Value]
    function: Function
    frame: int = 0
    septum: str = ""
    note: str = ""


def extract(volume_file: bytes, mask_file: bytes, guide_file: bytes | None = None) -> Extracted:
    """Features of every piece at end-diastole, and the function of the series.

    Args:
        volume_file: the image as NRRD.
        mask_file: the accepted mask on its grid.
        guide_file: a proposed mask that may show the right ventricle, see `divide`.

    Raises:
        GeometryMismatch: the mask lies on another grid.
        SeriesNotExtractable: PyRadiomics refused.
    """
    volume, mask = decode_volume(volume_file), decode_mask(mask_file)
    volume.geometry.require_same_grid(mask.geometry)
    guide = decode_mask(guide_file) if guide_file is not None else None
    if guide is not None and guide.geometry.array_shape != mask.geometry.array_shape:
        guide = None
    function = cardiac_function(mask)
    frame = wall_frame(mask, function)
    division = divide(mask, frame, guide)
    try:
        values = list(values_of(volume, frame, division.pieces))
    except IrpError:
        raise
    except Exception:
        # PyRadiomics' texts may quote data: only our own word leaves.
        raise SeriesNotExtractable from None
    return Extracted(values=values, function=function, frame=frame, septum=division.septum, note=division.note)


def values_of(volume: Volume, frame: int, pieces: Sequence[Piece]) -> Iterator[Value]:
    """Features of pieces on one frame; what is not a finite number is left out."""
    if not pieces:
        return
    image = to_sitk(volume, np.asarray(volume.array[frame], dtype=np.float64))
    filtered = _filtered(image)
    extractor = make_extractor()
    for piece in pieces:
        roi = to_sitk(volume, piece.voxels.astype(np.uint8))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = _of_roi(extractor, filtered, roi, flat=int(piece.voxels.any(axis=(1, 2)).sum()) < 2)
        for feature, value in found.items():
            number = float(np.asarray(value))
            if np.isfinite(number):
                yield Value(kind=piece.kind, roi=piece.name, feature=feature, value=number)


def make_extractor() -> Any:
    """PyRadiomics' extractor with the settings of this room."""
    extractor = featureextractor.RadiomicsFeatureExtractor(**SETTINGS)
    extractor.disableAllFeatures()
    for name in ("shape", *CLASSES):
        extractor.enableFeatureClassByName(name)
    extractor.enableImageTypeByName("LoG", customArgs={"sigma": list(LOG_SIGMAS_MM)})
    return extractor


def _filtered(image: SimpleITK.Image) -> dict[str, SimpleITK.Image]:
    """Filter name -> image; a stack of fewer than four slices has no Laplacian of Gaussian."""
    settings = {**SETTINGS, "sigma": list(LOG_SIGMAS_MM)}
    found = {name: other for other, name, _ in imageoperations.getLoGImage(image, image, **settings)}
    return {"original": image, **found}


def _of_roi(
    extractor: Any, filtered: dict[str, SimpleITK.Image], roi: SimpleITK.Image, *, flat: bool
) -> dict[str, Any]:
    image = filtered["original"]
    box, corrected = imageoperations.checkMask(image, roi, **extractor.settings)
    mask = corrected if corrected is not None else roi
    # A mesh of one slice is not the shape of anything.
    found = {} if flat else dict(extractor.computeShape(image, mask, box, **extractor.settings))
    for name, other in filtered.items():
        cut, cut_mask = imageoperations.cropToTumorMask(other, mask, box)
        found |= extractor.computeFeatures(cut, cut_mask, name, **extractor.settings)
    return found


def to_sitk(volume: Volume | Mask, array: NDArray[Any]) -> SimpleITK.Image:
    """A SimpleITK image on the grid: x is the column, y the row, z the slice; LPS like here."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    matrix = volume.geometry.matrix
    slice_mm, row_mm, column_mm = volume.geometry.spacing_mm
    image.SetSpacing((column_mm, row_mm, slice_mm))
    image.SetOrigin(tuple(float(x) for x in matrix[:3, 3]))
    direction = matrix[:3, [2, 1, 0]] / (column_mm, row_mm, slice_mm)
    image.SetDirection(tuple(float(x) for x in direction.ravel()))
    return image
