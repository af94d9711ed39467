"""Where voxels lie in the patient.

Axis order everywhere: (time, slice, row, column), C order. Coordinates: LPS, millimetres.
The affine takes an index (slice, row, column, 1) to (x, y, z, 1); slice 0 is the lowest along row x column direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irp_kernel.errors import GeometryMismatch, InvalidArgument

GRID_TOLERANCE_MM = 1e-2  # mm, at every corner of the grid: float32 NIfTI headers stay below it at 1 m
EVEN_STEPS = 0.05  # of a step, by which frame times may stray from even ones: scanners round to milliseconds
ORIENTATION_TOLERANCE_DEG = 0.01  # degree, between two images of one stack

Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """The grid of a volume.

    Attributes:
        shape: voxels along (slice, row, column).
        affine: 4 x 4, (slice, row, column, 1) -> LPS mm.
        frames: number of time points; 1 for a still volume.
        frame_times_ms: trigger time of each frame in ms, or empty.
    """

    shape: tuple[int, int, int]
    affine: Matrix
    frames: int = 1
    frame_times_ms: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        matrix = np.asarray(self.affine, dtype=np.float64)
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise InvalidArgument("the affine must be 4 x 4 and finite")
        if abs(np.linalg.det(matrix[:3, :3])) < 1e-9 or not np.array_equal(matrix[3], (0, 0, 0, 1)):
            raise InvalidArgument("the affine is not invertible")
        if len(self.shape) != 3 or min(self.shape) < 1 or self.frames < 1:
            raise InvalidArgument("a grid has at least one voxel along each axis")
        if self.frame_times_ms and len(self.frame_times_ms) != self.frames:
            raise InvalidArgument("there must be one frame time per frame")

    @classmethod
    def from_dicom(
        cls,
        *,
        position_mm: tuple[float, float, float],
        row_direction: tuple[float, float, float],
        column_direction: tuple[float, float, float],
        spacing_mm: tuple[float, float, float],
        shape: tuple[int, int, int],
        frames: int = 1,
        frame_times_ms: tuple[float, ...] = (),
    ) -> Geometry:
        """From the attributes of the Image Plane Module.

        Args:
            position_mm: ImagePositionPatient of slice 0 (the lowest along row x column direction).
            row_direction: first triple of ImageOrientationPatient: direction of increasing column index.
            column_direction: second triple: direction of increasing row index.
            spacing_mm: (slice pitch along the normal, PixelSpacing[0] between rows, PixelSpacing[1] between columns).
            shape: (slice, row, column).
            frames: number of time points.
            frame_times_ms: trigger time per frame, ms.

        Source: PS3.3 C.7.6.2.1.1.
        """
        along_row = np.asarray(row_direction, dtype=np.float64)
        along_column = np.asarray(column_direction, dtype=np.float64)
        normal = np.cross(along_row, along_column)
        matrix = np.eye(4)
        matrix[:3, 0] = normal * spacing_mm[0]
        matrix[:3, 1] = along_column * spacing_mm[1]
        matrix[:3, 2] = along_row * spacing_mm[2]
        matrix[:3, 3] = position_mm
        return cls(shape=shape, affine=to_matrix(matrix), frames=frames, frame_times_ms=frame_times_ms)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """The affine as an array (4, 4)."""
        return np.asarray(self.affine, dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbouring voxels along (slice, row, column)."""
        lengths = np.linalg.norm(self.matrix[:3, :3], axis=0)
        return (float(lengths[0]), float(lengths[1]), float(lengths[2]))

    @property
    def voxel_mm3(self) -> float:
        """Volume of one voxel in mm3."""
        return float(abs(np.linalg.det(self.matrix[:3, :3])))

    @property
    def array_shape(self) -> tuple[int, int, int, int]:
        """(time, slice, row, column)."""
        return (self.frames, *self.shape)

    @property
    def frame_step_ms(self) -> float:
        """Time between two frames; 0 if it is unknown or not even."""
        if len(self.frame_times_ms) < 2:
            return 0.0
        times = np.asarray(self.frame_times_ms, dtype=np.float64)
        step = float(times[-1] - times[0]) / (len(times) - 1)
        strays = np.abs(times - times[0] - step * np.arange(len(times)))
        return step if step > 0 and strays.max() <= EVEN_STEPS * step else 0.0

    def to_patient(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) indices (slice, row, column) -> (..., 3) LPS mm."""
        return np.asarray(index @ self.matrix[:3, :3].T + self.matrix[:3, 3])

    def to_index(self, point_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) LPS mm -> (..., 3) fractional indices (slice, row, column)."""
        return np.asarray((point_mm - self.matrix[:3, 3]) @ np.linalg.inv(self.matrix[:3, :3]).T)

    def grid_distance_mm(self, other: Geometry) -> float:
        """Largest distance between the corners of two grids of equal shape; infinite if the shapes differ."""
        if self.shape != other.shape:
            return float("inf")
        last = np.asarray(self.shape, dtype=np.float64) - 1
        corners = np.stack(np.meshgrid(*([0.0, n] for n in last), indexing="ij"), axis=-1).reshape(-1, 3)
        return float(np.linalg.norm(self.to_patient(corners) - other.to_patient(corners), axis=1).max())

    def require_same_grid(self, other: Geometry, *, tolerance_mm: float = GRID_TOLERANCE_MM) -> None:
        """Raise unless both grids coincide.

        Raises:
            GeometryMismatch: shapes, frames, or positions beyond the tolerance differ.
        """
        if self.array_shape != other.array_shape:
            raise GeometryMismatch(
                f"shape (time, slice, row, column) is {other.array_shape}, expected {self.array_shape}"
            )
        distance = self.grid_distance_mm(other)
        if distance > tolerance_mm:
            raise GeometryMismatch(f"the grids lie {distance:.3f} mm apart, allowed are {tolerance_mm} mm")


def to_matrix(array: NDArray[np.float64]) -> Matrix:
    """An array as hashable nested tuples."""
    return tuple(tuple(float(x) for x in row) for row in array)
