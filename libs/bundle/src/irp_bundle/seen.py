"""A volume as the networks want to see it: laid towards an orientation, and given back as it was stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from irp_kernel import Volume
from numpy.typing import NDArray

from irp_bundle.symmetry import Symmetry, towards


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Voxels laid anew; everything between `see` and `as_stored` counts rows and columns in this lay.

    Attributes:
        array: (time, slice, row, column), a view.
        spacing_mm: (slice, row, column).
        way: from the stored lay to this one.
        matrix: 4 x 4, (slice, row, column, 1) of the stored lay -> LPS mm.
    """

    array: NDArray[Any]
    spacing_mm: tuple[float, float, float]
    way: Symmetry
    matrix: NDArray[np.float64]

    @property
    def plane(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.array.shape[2], self.array.shape[3]

    @property
    def pixel_mm(self) -> tuple[float, float]:
        """(row, column) spacing."""
        return self.spacing_mm[1], self.spacing_mm[2]

    def as_stored(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(..., row, column) of this lay -> of the stored one."""
        return np.ascontiguousarray(self.way.undo(images))


def see(volume: Volume, orientation: str) -> Seen:
    """The volume, with columns and rows leading as nearly as possible where `orientation` says."""
    way = towards(orientation, volume.geometry.matrix)
    slice_mm, row_mm, column_mm = volume.geometry.spacing_mm
    pixel_mm = (column_mm, row_mm) if way.swap else (row_mm, column_mm)
    return Seen(array=way.apply(volume.array), spacing_mm=(slice_mm, *pixel_mm), way=way, matrix=volume.geometry.matrix)
