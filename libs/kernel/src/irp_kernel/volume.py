"""An image: numbers on a grid. A cine is a volume with more than one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irp_kernel.errors import GeometryMismatch
from irp_kernel.geometry import Geometry


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Volume:
    """Voxels and where they lie.

    Attributes:
        geometry: the grid.
        array: (time, slice, row, column), any real dtype; read-only.
    """

    geometry: Geometry
    array: NDArray[Any]

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.array_shape:
            raise GeometryMismatch(f"array shape is {self.array.shape}, the grid is {self.geometry.array_shape}")
        frozen = np.ascontiguousarray(self.array).view()
        frozen.flags.writeable = False
        object.__setattr__(self, "array", frozen)

    @property
    def frames(self) -> int:
        """Number of time points."""
        return self.geometry.frames
