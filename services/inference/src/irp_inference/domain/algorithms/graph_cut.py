"""Graph cut (Boykov, Jolly 2001): the border that costs least; edges and likeness with the marks set the price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.minimum_cut import STEPS, Costs, minimum_cut, pairs
from irp_inference.domain.algorithms.parameters import integer, number
from irp_inference.domain.errors import PromptsNotValid

AROUND = 2  # pixels around a mark that say how its side looks
BINS, BLUR = 48, 3.0  # of the histograms, and how far a brightness speaks for its neighbours, in bins
RARE = 1e-3  # least likelihood of any brightness
WHOLE = 1000  # the price of a border through a flat place; prices are whole numbers
NEVER = 1 << 24  # more than everything else that hangs on one pixel: marks are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphCut:
    """See the fields."""

    likeness: float = number(0.5, 0, 10, "how much the brightness of the marks counts beside edges; 0 = edges alone")
    margin: int = integer(24, 1, 256, "pixels around the marks that are looked at; what lies beyond is outside")

    def __call__(self, image: NDArray[np.float32], marks: Marks, within: Region | None) -> Region:
        """Pixels (row, column): of the region of least cost, the pieces that hold an inside mark."""
        inside = marks.region(image.shape, inside=True)
        outside = marks.region(image.shape, inside=False)
        if not inside.any() or (not outside.any() and not marks.boxes):
            raise PromptsNotValid("graph cut needs inside marks, and outside marks or a box")
        if marks.boxes:
            outside |= ~marks.boxed(image.shape)
        frame = marks.frame(image.shape, self.margin)
        part, inner, outer = image[frame].astype(np.float64), inside[frame], outside[frame] & ~inside[frame]
        found = np.zeros(image.shape, np.bool_)
        found[frame] = self._cut(part, inner, outer)
        return found if within is None else found & within

    def _cut(self, part: NDArray[np.float64], inner: Region, outer: Region) -> Region:
        cost_inside, cost_outside = self._likeness(part, inner, outer)
        # Beyond the frame nothing belongs to it.
        border = np.ones(part.shape, np.bool_)
        border[1:-1, 1:-1] = False
        cost_inside[(outer | border) & ~inner] = NEVER
        cost_outside[inner] = NEVER
        region = minimum_cut(cost_inside, cost_outside, _edges(part))
        return np.asarray(ndimage.binary_propagation(inner & region, np.ones((3, 3)), mask=region), np.bool_)

    def _likeness(self, part: NDArray[np.float64], inner: Region, outer: Region) -> tuple[Costs, Costs]:
        """What it costs to call a pixel inside, and outside: minus the logarithm of how usual its brightness is."""
        spread = float(np.ptp(part)) or 1.0
        bins = np.minimum((part - part.min()) / spread * BINS, BINS - 1).astype(np.int64)
        costs = [-np.log(_usual(bins, side)) for side in (inner, outer)]
        least = np.minimum(*costs)  # only their difference decides
        one, other = (np.rint((cost - least) * self.likeness * WHOLE).astype(np.int32) for cost in costs)
        return one, other


def _usual(bins: NDArray[np.int64], side: Region) -> NDArray[np.float64]:
    """How usual each pixel's brightness is around the marks of one side."""
    near = ndimage.binary_dilation(side, iterations=AROUND) if side.sum() < side.size // 4 else side
    counts = ndimage.gaussian_filter1d(np.bincount(bins[near], minlength=BINS).astype(np.float64), BLUR, mode="nearest")
    shares = np.maximum(counts / counts.sum(), RARE) if counts.sum() else np.full(BINS, 1 / BINS)
    return np.asarray(shares[bins], np.float64)


def _edges(part: NDArray[np.float64]) -> dict[tuple[int, int], Costs]:
    """What a border costs between neighbours: least where they differ by more than neighbours do on the average."""
    squares = {}
    for step in STEPS:
        first, second = pairs(part.shape, step)
        squares[step] = np.zeros(part.shape)
        squares[step][first] = np.square(part[second] - part[first])
    usual = float(np.mean(list(squares.values()))) or 1.0
    prices = {step: np.exp(-square / (2 * usual)) / np.hypot(*step) for step, square in squares.items()}
    return {step: np.rint(price * WHOLE).astype(np.int32) + 1 for step, price in prices.items()}
