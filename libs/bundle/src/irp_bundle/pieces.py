"""The largest pieces of labels stay: MONAI's KeepLargestConnectedComponent on labels that are not one-hot."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irp_bundle.program import Largest


def keep_largest(labels: NDArray[np.uint8], how: Largest) -> None:
    """Labels of an image with two or three axes, in place: what does not belong to a largest piece becomes 0."""
    chosen = how.labels or tuple(int(label) for label in np.unique(labels) if label)
    regions = [[label] for label in chosen] if how.independent else [list(chosen)]
    for region in regions:
        inside = np.isin(labels, region)
        labels[inside & ~_largest(inside, how)] = 0


def _largest(inside: NDArray[np.bool_], how: Largest) -> NDArray[np.bool_]:
    steps = min(how.connectivity or inside.ndim, inside.ndim)
    pieces, count = ndimage.label(inside, ndimage.generate_binary_structure(inside.ndim, steps))
    if count <= how.pieces:
        return inside
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.isin(pieces, np.argsort(sizes)[::-1][: how.pieces])
