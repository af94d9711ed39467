"""Where a slice shows tissue and where it shows air; what was masked out (exact zeros) is neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irp_quality.domain.noise import MIN_AIR_VOXELS, Plane, Region

BINS = 256
AIR_MARGIN = 4  # voxels kept between tissue and air: point spread and interpolation reach that far
MASKED_SHARE = 0.5  # of the voxels outside tissue; more exact zeros: the air was masked out and says nothing
AIR_LEVEL = 0.5  # of the tissue threshold, after smoothing: what is above is lung, fat edge or partial volume


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Parts of one slice, all (row, column).

    Attributes:
        tissue: brighter than Otsu's threshold.
        air: clearly darker and away from tissue; empty if it was masked out.
        air_unknown: why `air` is empty, or "".
    """

    tissue: Region
    air: Region
    air_unknown: str = ""


def find_regions(plane: Plane) -> Regions:
    """Split a slice (its mean over time) into tissue and air."""
    magnitude = np.abs(plane)
    empty = np.zeros(plane.shape, dtype=np.bool_)
    if not magnitude.any() or float(magnitude.min()) == float(magnitude.max()):
        return Regions(empty, empty, "no signal")
    # On the square root the few very bright voxels of fat and inflow do not pull the threshold up.
    threshold = otsu_threshold(np.sqrt(magnitude).ravel()) ** 2
    tissue = ndimage.binary_opening(magnitude > threshold)
    if float(plane.min()) < 0:
        return Regions(tissue, empty, "signed image")
    outside = ~ndimage.binary_dilation(ndimage.binary_fill_holes(tissue), iterations=AIR_MARGIN)
    if not outside.any():
        return Regions(tissue, empty, "no air in the field of view")
    zeros = ndimage.binary_erosion(magnitude == 0, np.ones((3, 3)), border_value=1)  # blocks: noise has single zeros
    if float((zeros & outside).sum()) > MASKED_SHARE * float(outside.sum()):
        return Regions(tissue, empty, "background masked out")
    known = outside & ~ndimage.binary_dilation(zeros, iterations=2)
    air = known & (ndimage.gaussian_filter(magnitude, 2.0) < AIR_LEVEL * threshold)
    if int(air.sum()) < MIN_AIR_VOXELS:
        return Regions(tissue, empty, "no air in the field of view")
    return Regions(tissue, air)


def otsu_threshold(values: NDArray[np.float64]) -> float:
    """The threshold that separates two classes best. Source: Otsu, IEEE Trans SMC 9:62, 1979."""
    counts, edges = np.histogram(values, BINS)
    centres = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1].astype(np.float64)
    above = float(counts.sum()) - below
    moment = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = moment[:-1] / below - (moment[-1] - moment[:-1]) / above
        between = np.nan_to_num(below * above * gap**2)
    best = np.flatnonzero(between >= between.max() * (1 - 1e-9))  # an empty gap between the classes: its middle
    return float(edges[[best[0] + 1, best[-1] + 1]].mean())
