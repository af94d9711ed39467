"""Thresholds: absolute or Otsu's, and for late enhancement n standard deviations and full width at half maximum.

Each looks alike at a slice and at a stack of slices: there the remote myocardium, and the brightest scar, are those of
the whole stack (Amado 2004 takes half of the maximum of the whole infarct).

Sources: n-SD: Kim et al. 1999 (2 SD), Bondarenko et al. 2005 (5 SD agreed best with eyes); FWHM: Amado et al. 2004.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from irp_inference.domain.algorithms.marks import Region
from irp_inference.domain.algorithms.parameters import boolean, number
from irp_inference.domain.algorithms.stack import Marked, Stack
from irp_inference.domain.errors import PromptsNotValid

CORE = "dark pixels that scar encloses belong to it"


class _AnyAxes(ABC):
    """A method for which slices are not special."""

    __slots__ = ()

    @abstractmethod
    def __call__(self, image: NDArray[np.float32], marks: Marked, within: Region | None) -> Region:
        """Pixels (row, column), or voxels (slice, row, column), as the image's."""

    def across(self, stack: Stack, marks: Marked, within: Region | None) -> Region:
        """Voxels (slice, row, column)."""
        stack.going()
        return self(stack.image, marks, within)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold(_AnyAxes):
    """See the field."""

    above: float | None = number(None, -1e9, 1e9, "intensity from which a pixel belongs to it; null = Otsu's threshold")

    def __call__(self, image: NDArray[np.float32], marks: Marked, within: Region | None) -> Region:
        """What is in the box or myocardium; in the whole slice or stack if there is neither."""
        region = _region(image, marks, within)
        if self.above is not None:
            return region & (image >= self.above)
        values = image[region]
        if np.ptp(values) == 0:
            return np.zeros(image.shape, np.bool_)
        return region & (image > float(threshold_otsu(values)))


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardDeviations(_AnyAxes):
    """N-SD: brighter than the remote myocardium's mean by n of its standard deviations."""

    n: float = number(5.0, 0.5, 20, "standard deviations; 2 to 6 are in use")
    no_reflow: bool = boolean(True, CORE)

    def __call__(self, image: NDArray[np.float32], marks: Marked, within: Region | None) -> Region:
        """Of the myocardium or box; remote myocardium is what was marked as outside."""
        region = _region(image, marks, within, needed=True)
        remote = marks.region(image.shape, inside=False) & region
        if int(remote.sum()) < 5:
            raise PromptsNotValid("mark at least five pixels of remote myocardium as outside (a scribble)")
        bright = region & (image > float(image[remote].mean()) + self.n * float(image[remote].std(ddof=1)))
        return _with_core(bright, region) if self.no_reflow else bright


@dataclass(frozen=True, slots=True, kw_only=True)
class FullWidthHalfMaximum(_AnyAxes):
    """FWHM: brighter than half of the scar's brightest pixel, or than half way from marked remote myocardium to it.

    The second form does not depend on where zero lies: phase-sensitive and rescaled images have another one.
    """

    no_reflow: bool = boolean(True, CORE)

    def __call__(self, image: NDArray[np.float32], marks: Marked, within: Region | None) -> Region:
        """Of the myocardium or box; the maximum is that of the inside marks, if there are any.

        With inside marks only what is connected with them is taken.
        """
        region = _region(image, marks, within, needed=True)
        seeds = marks.region(image.shape, inside=True) & region
        highest = float(image[seeds if seeds.any() else region].max())
        remote = marks.region(image.shape, inside=False) & region
        lowest = float(image[remote].mean()) if remote.any() else 0.0
        bright = region & (image >= (highest + lowest) / 2)
        if seeds.any():
            bright = np.asarray(
                ndimage.binary_propagation(seeds & bright, np.ones((3,) * image.ndim), mask=bright), np.bool_
            )
        return _with_core(bright, region) if self.no_reflow else bright


def _region(image: NDArray[np.float32], marks: Marked, within: Region | None, *, needed: bool = False) -> Region:
    """Where the method looks: the myocardium, the box, both, or everything."""
    if within is None and not marks.has_boxes:
        if needed:
            raise PromptsNotValid("name a model whose myocardium is looked at (`within_model`), or draw a box")
        return np.ones(image.shape, np.bool_)
    region = marks.boxed(image.shape) if marks.has_boxes else np.ones(image.shape, np.bool_)
    return region if within is None else region & within


def _with_core(scar: Region, region: Region) -> Region:
    """Dark pixels of the region that scar encloses in its slice."""
    slices = scar.reshape(-1, *scar.shape[-2:])
    filled = np.stack([ndimage.binary_fill_holes(one) for one in slices]).reshape(scar.shape)
    return scar | (filled & region)
