"""Numbers of an image -> stored values of 16 bits with RescaleSlope and -Intercept.

Whole numbers stay exactly what they are, or the image is refused. Fractions are told in 65,535 steps between their
extremes, if a step is fine enough beside the spread of the image. Source: PS3.3 C.11.1.1.2, C.8.3.1.1.4 (16 bits).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.valuerep import format_number_as_ds

from irp_ingest.domain.errors import ImageTooWide, ImportNotFinite

STEPS = 65_535
TOLERANCE = 1e-3  # largest error of a value, as a share of the spread between percentiles 1 and 99 (zeros left out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Values as DICOM stores them.

    Attributes:
        array: int16 or uint16.
        slope, intercept: as DICOM writes decimal strings: value = stored * slope + intercept.
    """

    array: NDArray[np.int16] | NDArray[np.uint16]
    slope: str = "1"
    intercept: str = "0"


def to_stored(values: NDArray[Any]) -> Stored:
    """Stored values.

    Args:
        values: (time, slice, row, column).

    Raises:
        ImportNotFinite: a value is not a number, or infinite.
        ImageTooWide: 16 bits cannot tell the values well enough.
    """
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ImportNotFinite
    low, high = values.min(), values.max()
    if values.dtype.kind != "f" or np.array_equal(values, np.rint(values)):
        if whole := _whole(values, int(low), int(high)):
            return whole
        if values.dtype.kind != "f":
            raise ImageTooWide(f"whole numbers that span {int(high) - int(low)}; 16 bits tell {STEPS}")
    return _scaled(values, float(low), float(high))


def _whole(values: NDArray[Any], low: int, high: int) -> Stored | None:
    """Exactly: as they are if they fit, else counted from the lowest one."""
    if low >= np.iinfo(np.int16).min and high <= np.iinfo(np.int16).max:
        return Stored(array=values.astype(np.int16))
    if low >= 0 and high <= STEPS:
        return Stored(array=values.astype(np.uint16))
    # beyond 12 digits a decimal string of 16 characters may round; no image needs it
    if high - low > STEPS or abs(low) >= 10**12:
        return None
    return Stored(array=(values - values.dtype.type(low)).astype(np.uint16), intercept=str(low))


def _scaled(values: NDArray[Any], low: float, high: float) -> Stored:
    if not np.isfinite(high - low):
        raise ImageTooWide
    slope, intercept = format_number_as_ds((high - low) / STEPS), format_number_as_ds(low)
    if float(slope) == 0:
        raise ImageTooWide("the values differ by less than a decimal string can tell")
    array, error = np.empty(values.shape, dtype=np.uint16), 0.0
    for place in np.ndindex(values.shape[:2]):  # plane by plane: in double precision a whole image takes much memory
        plane = values[place].astype(np.float64)
        array[place] = np.clip(np.rint((plane - float(intercept)) / float(slope)), 0, STEPS)
        error = max(error, float(np.abs(array[place] * float(slope) + float(intercept) - plane).max()))
    spread = _spread(values)
    if not error <= TOLERANCE * spread:
        raise ImageTooWide(f"16 bits would change a value by {error:.3g}; the image's values spread over {spread:.3g}")
    return Stored(array=array, slope=slope, intercept=intercept)


def _spread(values: NDArray[Any]) -> float:
    """Between percentiles 1 and 99 of what is not zero: a masked background or one bright dot does not count."""
    low, high = np.percentile(values[values != 0], (1, 99))
    return float(high - low)
