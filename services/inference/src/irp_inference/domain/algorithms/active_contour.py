"""Morphological geodesic active contour (Marquez-Neila, Baumela, Alvarez 2014): a contour that stops at edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import inverse_gaussian_gradient, morphological_geodesic_active_contour

from irp_inference.domain.algorithms.marks import Marks, Region
from irp_inference.domain.algorithms.parameters import integer, number
from irp_inference.domain.errors import PromptsNotValid

LARGEST = 512 * 512  # pixels; its time grows as they do
START = 3  # pixels: radius of the disk around a click from which the contour grows


@dataclass(frozen=True, slots=True, kw_only=True)
class GeodesicActiveContour:
    """See the fields."""

    steps: int = integer(120, 1, 1000, "of the evolution")
    smoothing: int = integer(1, 0, 4, "of the contour in each step")
    sigma: float = number(1.5, 0.3, 20, "pixels; edges finer than this are not seen")
    margin: int = integer(64, 1, 256, "pixels beyond the marks that the contour may reach")

    def __call__(self, image: NDArray[np.float32], marks: Marks, within: Region | None) -> Region:
        """Pixels (row, column): grown from inside marks, or shrunk from a box."""
        inside = marks.region(image.shape, inside=True)
        if not inside.any() and not marks.boxes:
            raise PromptsNotValid("the contour begins at an inside mark, or at a box around the structure")
        rows, columns = marks.frame(image.shape, self.margin, LARGEST)
        part = image[rows, columns].astype(np.float64)
        edges = inverse_gaussian_gradient((part - part.min()) / (float(np.ptp(part)) or 1.0), 1000.0, self.sigma)
        grows = bool(inside.any())
        start = ndimage.binary_dilation(inside, iterations=START) if grows else marks.boxed(image.shape)
        evolved = morphological_geodesic_active_contour(
            edges,
            self.steps,
            start[rows, columns],
            smoothing=self.smoothing,
            balloon=1 if grows else -1,
            threshold=0.4,
        )
        found = np.zeros(image.shape, np.bool_)
        found[rows, columns] = evolved.astype(np.bool_)
        found &= ~marks.region(image.shape, inside=False)
        return found if within is None else found & within
