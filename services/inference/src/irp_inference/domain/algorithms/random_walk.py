"""Random walker (Grady 2006): each pixel goes to the mark that a random walk from it reaches first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.segmentation import random_walker

from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.parameters import integer, number
from irp_inference.domain.errors import PromptsNotValid


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomWalker:
    """See the fields."""

    beta: float = number(
        5000.0, 1, 100_000, "how much an edge holds the walk back; less lets single clicks lose to the border"
    )
    margin: int = integer(24, 1, 256, "pixels around the marks that are looked at; what lies beyond is outside")

    def __call__(self, image: NDArray[np.float32], marks: Marks, within: Region | None) -> Region:
        """Pixels (row, column)."""
        inside = marks.region(image.shape, inside=True)
        outside = marks.region(image.shape, inside=False)
        if not inside.any() or (not outside.any() and not marks.boxes):
            raise PromptsNotValid("the random walker needs inside marks, and outside marks or a box")
        rows, columns = marks.frame(image.shape, self.margin)
        part = image[rows, columns]
        if not np.ptp(part):
            return inside if within is None else inside & within  # nothing holds a walk back: only the marks are known
        if marks.boxes:
            outside |= ~marks.boxed(image.shape)
        seeds = np.where(inside, 1, np.where(outside, 2, 0))[rows, columns]
        spread = float(np.ptp(part))
        # Beyond the frame nothing belongs to it: its border walks to the outside.
        border = np.ones(part.shape, np.bool_)
        border[1:-1, 1:-1] = False
        seeds[border & (seeds == 0)] = 2
        found = np.zeros(image.shape, np.bool_)
        found[rows, columns] = random_walker((part - part.min()) / spread, seeds, beta=self.beta, mode="cg_j") == 1
        return found if within is None else found & within
