"""Region growing: everything that is connected with a click and looks like it (after Adams, Bischof 1994)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.parameters import integer, number
from irp_inference.domain.errors import PromptsNotValid

AROUND = 2  # pixels around a click that say how the structure looks


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionGrowing:
    """See the fields. At least one hundredth of the image's range stands for a deviation of zero."""

    tolerance: float = number(
        3.0, 0.1, 100, "how far a pixel may be from the mean around the inside marks, in their standard deviations"
    )
    connectivity: int = integer(4, 4, 8, "neighbours of a pixel", (4, 8))

    def __call__(self, image: NDArray[np.float32], marks: Marks, within: Region | None) -> Region:
        """Pixels (row, column); inside a box if there is one, never a pixel that was marked as outside."""
        seeds = marks.region(image.shape, inside=True)
        if not seeds.any():
            raise PromptsNotValid("region growing begins at an inside click or scribble")
        near = ndimage.binary_dilation(seeds, iterations=AROUND)
        spread = max(float(image[near].std()), 0.01 * float(np.ptp(image)))
        alike = np.abs(image - float(image[near].mean())) <= self.tolerance * spread
        allowed = (alike | seeds) & ~marks.region(image.shape, inside=False)
        if marks.boxes:
            allowed &= marks.boxed(image.shape)
        if within is not None:
            allowed &= within
        structure = ndimage.generate_binary_structure(2, 1 if self.connectivity == 4 else 2)
        return np.asarray(ndimage.binary_propagation(seeds & allowed, structure, mask=allowed), np.bool_)
