"""De-identified instances -> the voxels of a volume; runs in a worker process.

Values are what the scanner measured: stored values, rescaled where the header says so. MONOCHROME1 says how values are
shown, not what they are, and changes nothing (PS3.3 C.7.6.3.1.2); PixelPaddingValue keeps its stored value.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from irp_deid import quietly
from irp_kernel import Geometry, Volume, encode_volume
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.pixels.utils import iter_pixels

from irp_ingest.domain.errors import NotAssembled, PixelsNotReadable, SeriesInColour
from irp_ingest.domain.functional_groups import group_of

MAX_VALUE = float(np.finfo(np.float32).max)
GREY = {"MONOCHROME1", "MONOCHROME2"}
Order = Sequence[Sequence[tuple[int, int]]]  # [time][slice] -> (which file, frame number counted from 1)


def build_volume(files: Sequence[bytes], order: Order, geometry: Geometry) -> bytes:
    """Decode the frames of instances into an encoded volume.

    Integers stay integers where no rescaling makes fractions.

    Raises:
        SeriesInColour: an image has more than one value per pixel, or its values are places in a palette.
        PixelsNotReadable: an image cannot be decoded, or is not one grey image of the series' matrix.
    """
    wanted: dict[int, set[int]] = defaultdict(set)
    for at, number in (place for phase in order for place in phase):
        wanted[at].add(number)
    with quietly():
        found = {at: _frames(files[at], sorted(numbers), geometry.shape[1:]) for at, numbers in wanted.items()}
    array = np.array([[found[at][number] for at, number in phase] for phase in order])
    return encode_volume(Volume(geometry=geometry, array=_smallest(array)))


def _frames(file: bytes, numbers: list[int], matrix: tuple[int, int]) -> dict[int, NDArray[Any]]:
    try:
        dataset = dcmread(io.BytesIO(file))
        _require_grey(dataset)
        decoded = iter_pixels(dataset, indices=[number - 1 for number in numbers])
        return {number: _values(dataset, number, plane, matrix) for number, plane in zip(numbers, decoded, strict=True)}
    except NotAssembled:
        raise
    except Exception:
        # decoders raise what they like
        raise PixelsNotReadable from None


def _require_grey(dataset: Dataset) -> None:
    if dataset.SamplesPerPixel != 1 or dataset.PhotometricInterpretation not in GREY:
        raise SeriesInColour


def _values(dataset: Dataset, number: int, stored: NDArray[Any], matrix: tuple[int, int]) -> NDArray[Any]:
    if stored.shape != matrix:
        raise PixelsNotReadable("an image is not one grey image of the series' matrix")
    slope, intercept = _rescaling(dataset, number)
    values = np.array(stored) if (slope, intercept) == (1.0, 0.0) else stored * slope + intercept
    if not np.isfinite(values).all():
        raise PixelsNotReadable("an image holds values that are no finite numbers")
    return np.asarray(values)


def _rescaling(dataset: Dataset, number: int) -> tuple[float, float]:
    """Slope and intercept of a frame. Source: PS3.3 C.11.1.1.2, C.7.6.16.2.9 (of each frame)."""
    of_frame = group_of(dataset, number - 1, "PixelValueTransformationSequence")
    said = dataset if "RescaleSlope" in dataset or "RescaleSlope" not in of_frame else of_frame
    if said.get("ModalityLUTSequence"):
        raise PixelsNotReadable("the values of an image are given by a table (Modality LUT), which is not read here")
    slope, intercept = said.get("RescaleSlope"), said.get("RescaleIntercept")
    rescaling = (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))
    if rescaling[0] == 0:
        raise PixelsNotReadable("RescaleSlope is 0: all values would be the same")
    return rescaling


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """int16 if every value is a whole number in its range, else int32 or float32."""
    if max(abs(float(array.min())), abs(float(array.max()))) > MAX_VALUE:
        raise PixelsNotReadable("an image holds values beyond what a volume can")
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        return array.astype(np.float32)
    for kind in (np.int16, np.int32):
        info = np.iinfo(kind)
        if array.min() >= info.min and array.max() <= info.max:
            return array.astype(kind)
    return array.astype(np.float32)
