"""Region growing: everything that is connected with a click and looks like it (after Adams, Bischof 1994)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.parameters import integer, number
from irp_inference.domain.algorithms.stack import MOST_VOXELS, Marked, Stack, around, neighbourhood
from irp_inference.domain.errors import PromptsNotValid


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionGrowing:
    """See the fields. At least one hundredth of the image's range stands for a deviation of zero."""

    tolerance: float = number(
        3.0, 0.1, 100, "how far a pixel may be from the mean around the inside marks, in their standard deviations"
    )
    connectivity: int = integer(
        4, 4, 8, "neighbours of a pixel; across slices 4 means all that share a face, 8 all that touch", (4, 8)
    )
    reach: float = number(80.0, 1, 1000, "across slices: mm from the nearest inside mark that it may grow")

    def __call__(self, image: NDArray[np.float32], marks: Marks, within: Region | None) -> Region:
        """Pixels (row, column); inside a box if there is one, never a pixel that was marked as outside."""
        seeds, allowed = _seeds(image, marks), _allowed(image, marks, within)
        return self._grown(image, seeds, allowed, (1.0, 1.0), float(np.ptp(image)))

    def across(self, stack: Stack, marks: Marked, within: Region | None) -> Region:
        """Voxels (slice, row, column): as in a slice, and never farther from a mark than `reach`."""
        image, seeds, span = stack.image, _seeds(stack.image, marks), float(np.ptp(stack.image))
        block = around(seeds, tuple(int(self.reach / mm) + 1 for mm in stack.spacing_mm), MOST_VOXELS)
        allowed = _allowed(image, marks, within)[block]
        stack.going()
        allowed &= ndimage.distance_transform_edt(~seeds[block], sampling=stack.spacing_mm) <= self.reach
        stack.going()
        found = np.zeros(image.shape, np.bool_)
        found[block] = self._grown(image[block], seeds[block], allowed, stack.spacing_mm, span)
        return found

    def _grown(
        self, image: NDArray[np.float32], seeds: Region, allowed: Region, spacing: tuple[float, ...], span: float
    ) -> Region:
        near = ndimage.binary_dilation(seeds, neighbourhood(spacing))
        spread = max(float(image[near].std()), 0.01 * span)
        alike = np.abs(image - float(image[near].mean())) <= self.tolerance * spread
        allowed = allowed & (alike | seeds)
        faces = ndimage.generate_binary_structure(image.ndim, 1 if self.connectivity == 4 else image.ndim)
        return np.asarray(ndimage.binary_propagation(seeds & allowed, faces, mask=allowed), np.bool_)


def _seeds(image: NDArray[np.float32], marks: Marked) -> Region:
    seeds = marks.region(image.shape, inside=True)
    if not seeds.any():
        raise PromptsNotValid("region growing begins at an inside click or scribble")
    return seeds


def _allowed(image: NDArray[np.float32], marks: Marked, within: Region | None) -> Region:
    allowed = ~marks.region(image.shape, inside=False)
    if marks.has_boxes:
        allowed &= marks.boxed(image.shape)
    return allowed if within is None else allowed & within
