"""Random walker (Grady 2006): each pixel goes to the mark that a random walk from it reaches first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import random_walker

from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.parameters import integer, number
from irp_inference.domain.algorithms.stack import Marked, Stack, around, neighbourhood
from irp_inference.domain.algorithms.walk import FREE, INSIDE, OUTSIDE, reached_first
from irp_inference.domain.errors import PromptsNotValid

MOST_WALKED = 300_000  # voxels of a stack; seconds on one core


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomWalker:
    """See the fields."""

    beta: float = number(
        5000.0, 1, 100_000, "how much an edge holds the walk back; less lets single clicks lose to the border"
    )
    margin: int = integer(24, 1, 256, "pixels around the marks that are looked at; what lies beyond is outside")

    def __call__(self, image: NDArray[np.float32], marks: Marks, within: Region | None) -> Region:
        """Pixels (row, column)."""
        inside, outside = _sides(image.shape, marks)
        rows, columns = marks.frame(image.shape, self.margin)
        part = image[rows, columns]
        if not np.ptp(part):
            return inside if within is None else inside & within  # nothing holds a walk back: only the marks are known
        seeds = np.where(inside, 1, np.where(outside, 2, 0))[rows, columns]
        spread = float(np.ptp(part))
        # Beyond the frame nothing belongs to it: its border walks to the outside.
        border = np.ones(part.shape, np.bool_)
        border[1:-1, 1:-1] = False
        seeds[border & (seeds == 0)] = 2
        found = np.zeros(image.shape, np.bool_)
        found[rows, columns] = random_walker((part - part.min()) / spread, seeds, beta=self.beta, mode="cg_j") == 1
        return found if within is None else found & within

    def across(self, stack: Stack, marks: Marked, within: Region | None) -> Region:
        """Voxels (slice, row, column): of all slices, in the rows and columns around the marks."""
        shape = stack.image.shape
        inside, outside = _sides(shape, marks)
        looked = inside | marks.region(shape, inside=False)
        if marks.has_boxes:
            looked |= marks.boxed(shape)
        block = around(looked, (shape[0], self.margin, self.margin), MOST_WALKED)
        part, inner = stack.image[block], _widened(inside, stack.spacing_mm)[block] & ~outside[block]
        found = np.zeros(shape, np.bool_)
        if not np.ptp(part):
            found |= inside  # nothing holds a walk back: only the marks are known
        else:
            seeds = np.where(inner, INSIDE, np.where(outside[block], OUTSIDE, FREE)).astype(np.uint8)
            # Beyond rows and columns nothing belongs to it; beyond the first and the last slice nobody knows.
            border = np.ones(part.shape, np.bool_)
            border[:, 1:-1, 1:-1] = False
            seeds[border & (seeds == FREE)] = OUTSIDE
            found[block] = reached_first(part, seeds, stack.spacing_mm, self.beta, stack.going)
        return found if within is None else found & within


def _widened(inside: Region, spacing_mm: tuple[float, ...]) -> Region:
    """Marks with what lies around them: what one voxel gives to a walk is soon lost among all the ways in a volume."""
    return np.asarray(ndimage.binary_dilation(inside, neighbourhood(spacing_mm)), np.bool_)


def _sides(shape: tuple[int, ...], marks: Marked) -> tuple[Region, Region]:
    """What was marked as inside, and as outside, which is also what lies beyond a box."""
    inside, outside = marks.region(shape, inside=True), marks.region(shape, inside=False)
    if not inside.any() or (not outside.any() and not marks.has_boxes):
        raise PromptsNotValid("the random walker needs inside marks, and outside marks or a box")
    return inside, outside | ~marks.boxed(shape) if marks.has_boxes else outside
