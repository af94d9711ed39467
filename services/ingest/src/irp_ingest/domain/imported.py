"""A NIfTI or NRRD file -> what its image is: values of 16 bits, a rectangular grid, times; or the reason why not.

Pure; it runs in worker processes. Free texts of the file (descriptions, extensions, comments, key/value pairs) are not
read, but for the frame times that this house writes into its own NRRD.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from irp_kernel import Geometry
from irp_kernel.errors import BadVolumeFile, InvalidArgument, TooLarge
from irp_kernel.geometry import GRID_TOLERANCE_MM, to_matrix
from irp_kernel.nifti import read_nifti
from irp_kernel.nrrd import Nrrd, read_nrrd
from numpy.typing import NDArray

from irp_ingest.domain.errors import ImageDegenerate, ImagePlaceContradicted, ImageSheared
from irp_ingest.domain.stored_values import Stored, to_stored

MAX_IMAGES = 16_384  # slices times phases of one file
MAX_SIDE = 65_535  # rows or columns, PS3.3 C.7.6.3.1
MAX_RATIO, RATIO_FROM_BYTES = 200, 16 << 20  # inflated to packed; beyond the size, as the uploader's rule for archives
MAX_MM, MAX_MS = 1e5, 1e9  # beyond, a decimal string would not tell a place or a time well enough
PLACE_TOLERANCE_MM = 0.5  # between a NIfTI's sform and qform: quaternions of 32 bits stray by a tenth of this


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedImage:
    """An image to be told in DICOM.

    Attributes:
        stored: (time, slice, row, column), with their rescaling.
        affine: (4, 4), (slice, row, column, 1) -> LPS mm; its axes are perpendicular.
        times_ms: of each time point; empty if not known.
    """

    stored: Stored
    affine: NDArray[np.float64]
    times_ms: tuple[float, ...]


def read_image(data: bytes, *, max_bytes: int) -> ImportedImage:
    """Read a file.

    Args:
        data: NIfTI or NRRD, told apart by their first bytes.
        max_bytes: that its voxels may take.

    Raises:
        BadVolumeFile, TooLarge: not readable, or over a limit.
        ImageSheared, ImagePlaceContradicted, ImageDegenerate, ImportNotFinite, ImageTooWide: their pages say it.
    """
    read = read_nrrd if data.startswith(b"NRRD") else read_nifti
    nrrd = read(data, max_bytes=max_bytes)
    _require_bounds(nrrd, len(data))
    if nrrd.doubt_mm > PLACE_TOLERANCE_MM:
        raise ImagePlaceContradicted(f"sform and qform lie {nrrd.doubt_mm:.2f} mm apart")
    return ImportedImage(stored=to_stored(nrrd.array), affine=_rectangular(nrrd), times_ms=_times(nrrd))


def _require_bounds(nrrd: Nrrd, packed: int) -> None:
    frames, slices, rows, columns = nrrd.array.shape
    if frames * slices > MAX_IMAGES:
        raise TooLarge(f"{frames * slices} slices times time points, allowed are {MAX_IMAGES}")
    if max(rows, columns) > MAX_SIDE:
        raise TooLarge(f"a slice has at most {MAX_SIDE} rows and columns")
    inflated = nrrd.array.size * nrrd.array.itemsize
    if inflated > max(RATIO_FROM_BYTES, MAX_RATIO * packed):
        raise TooLarge(f"the file inflates to more than {MAX_RATIO} times its size")


def _rectangular(nrrd: Nrrd) -> NDArray[np.float64]:
    """The affine with exactly perpendicular axes: DICOM cannot say a sheared one. Source: PS3.3 C.7.6.2.1.1."""
    grid = _grid(nrrd, nrrd.affine)
    row = nrrd.affine[:3, 2] / np.linalg.norm(nrrd.affine[:3, 2])
    column = nrrd.affine[:3, 1] - row * np.dot(nrrd.affine[:3, 1], row)
    column /= np.linalg.norm(column)
    straight = nrrd.affine.copy()
    straight[:3, 1] = column * np.dot(nrrd.affine[:3, 1], column)
    normal = np.cross(row, column)
    straight[:3, 0] = normal * np.dot(nrrd.affine[:3, 0], normal)
    off = grid.grid_distance_mm(_grid(nrrd, straight))
    if off > GRID_TOLERANCE_MM:
        raise ImageSheared(f"a corner lies {off:.3f} mm off a rectangular grid, allowed are {GRID_TOLERANCE_MM} mm")
    return straight


def _grid(nrrd: Nrrd, affine: NDArray[np.float64]) -> Geometry:
    frames, slices, rows, columns = nrrd.array.shape
    if not np.abs(affine).max() <= MAX_MM:
        raise ImageDegenerate(f"a coordinate is no number below {MAX_MM:.0f} mm")
    try:
        return Geometry(shape=(slices, rows, columns), affine=to_matrix(affine), frames=frames)
    except InvalidArgument:
        raise ImageDegenerate from None


def _times(nrrd: Nrrd) -> tuple[float, ...]:
    frames, said = nrrd.array.shape[0], nrrd.fields.get("irp_frame_times_ms", "")
    if frames == 1 or not (said or nrrd.frame_step_ms):
        return ()
    try:
        times = [float(time) for time in said.split(",")] if said else [nrrd.frame_step_ms * t for t in range(frames)]
    except ValueError:
        raise BadVolumeFile("the frame times cannot be read") from None
    rising = all(before < after for before, after in pairwise(times))
    if len(times) != frames or not rising or not max(map(abs, times)) <= MAX_MS:
        raise BadVolumeFile(f"there must be one rising frame time per time point, below {MAX_MS:.0f} ms")
    return tuple(times)
