"""After the nets: one ring, one pool, no holes; per slice."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

VENTRICLE = ("lv_blood_pool", "lv_myocardium", "scar", "no_reflow")


def tidy(labels: NDArray[np.uint8], structures: tuple[str, ...]) -> NDArray[np.uint8]:
    """Keep the largest ventricle and the largest of every other structure; fill holes of the pool.

    Args:
        labels: (N, row, column); 1 + place of the structure among `structures`.
        structures: names of the channels.
    """
    together = [place for place, name in enumerate(structures, 1) if name in VENTRICLE]
    groups = [together] if together else []
    groups += [[place] for place in range(1, len(structures) + 1) if place not in together]
    pool = structures.index("lv_blood_pool") + 1 if "lv_blood_pool" in structures else 0
    cleaned = labels.copy()
    for image in cleaned:
        for group in groups:
            _keep_largest(image, group)
        if pool:
            holes = ndimage.binary_fill_holes(image == pool) & (image == 0)
            image[holes] = pool
    return cleaned


def _keep_largest(image: NDArray[np.uint8], group: list[int]) -> None:
    member = np.isin(image, group)
    pieces, count = ndimage.label(member)
    if count > 1:
        largest = np.bincount(pieces.ravel())[1:].argmax() + 1
        image[member & (pieces != largest)] = 0
