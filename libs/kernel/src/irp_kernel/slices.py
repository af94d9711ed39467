"""Labels of a few slices of a large image, and files on the image's whole grid made of them without its zeros."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irp_kernel.codec import NIFTI, mask_fields
from irp_kernel.errors import GeometryMismatch
from irp_kernel.geometry import Geometry
from irp_kernel.mask import LabelTable, Mask
from irp_kernel.nifti import nifti_head
from irp_kernel.nrrd import nrrd_head
from irp_kernel.sparse_gzip import sparse_gzip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledSlices:
    """Labels of some frames and slices; what is not among them was not annotated.

    Attributes:
        geometry: of the whole image.
        labels: uint8 (frame, slice, row, column), only those of `frames` and `slices`.
        frames, slices: which they are, ascending.
        table: what the values mean.

    Raises:
        GeometryMismatch: the labels do not fit.
    """

    geometry: Geometry
    labels: NDArray[np.uint8]
    frames: tuple[int, ...]
    slices: tuple[int, ...]
    table: LabelTable

    def __post_init__(self) -> None:
        if self.labels.shape != (len(self.frames), len(self.slices), *self.geometry.shape[1:]):
            raise GeometryMismatch("the labels are not those of the frames and slices")

    @property
    def annotated(self) -> NDArray[np.bool_]:
        """Bool (time, slice, structure) of the whole image, as a mask says it."""
        shape = (self.geometry.frames, self.geometry.shape[0], len(self.table.labels))
        annotated = np.zeros(shape, dtype=np.bool_)
        annotated[np.ix_(self.frames, self.slices)] = True
        return annotated

    def mask(self) -> Mask:
        """On the whole grid."""
        full = np.zeros(self.geometry.array_shape, dtype=np.uint8)
        full[np.ix_(self.frames, self.slices)] = self.labels
        return Mask(geometry=self.geometry, labels=full, table=self.table, annotated=self.annotated)


def encode_slices(found: LabelledSlices, media_type: str) -> bytes:
    """A file (NRRD or NIfTI) on the whole grid; reads as `encode_mask` of the same mask does."""
    geometry = found.geometry
    if media_type == NIFTI:
        head = nifti_head(geometry.array_shape, "u1", geometry.matrix, geometry.frame_step_ms)
        return sparse_gzip([head, *_planes(found)])
    fields = mask_fields(geometry, found.table, found.annotated)
    return nrrd_head(geometry.array_shape, "u1", geometry.matrix, fields) + sparse_gzip(_planes(found))


def _planes(found: LabelledSlices) -> Iterator[bytes | int]:
    """Every plane of the grid in the order of the file: its labels, or how many zeros it is."""
    frame_of = {frame: place for place, frame in enumerate(found.frames)}
    slice_of = {number: place for place, number in enumerate(found.slices)}
    slices, rows, columns = found.geometry.shape
    for frame in range(found.geometry.frames):
        for number in range(slices):
            here = frame in frame_of and number in slice_of
            plane = found.labels[frame_of[frame], slice_of[number]] if here else None
            yield plane.tobytes() if plane is not None and plane.any() else rows * columns
