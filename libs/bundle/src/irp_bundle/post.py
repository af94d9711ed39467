"""What anatomy knows and a network may forget, slice by slice. Every correction is counted.

Each slice is judged by itself and by stage 1's line through the series, never by its neighbours' labels: a slice asked
alone gets the same labels as in its series.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from irp_kernel.mask import LV_BLOOD_POOL, LV_MYOCARDIUM, NO_REFLOW, RV_BLOOD_POOL, SCAR
from numpy.typing import NDArray
from scipy import ndimage

from irp_bundle.spec import PostSpec

LEFT = (LV_BLOOD_POOL, LV_MYOCARDIUM, SCAR, NO_REFLOW)
NEIGHBOURS = ndimage.generate_binary_structure(2, 2)  # diagonal neighbours touch: a thin wall is one piece

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Expected:
    """Where stage 1 expects the left ventricle in one slice, pixels.

    Attributes:
        row, column: middle.
        size: of the ventricle's box; 0 = stage 1 found nothing in the series.
    """

    row: float
    column: float
    size: float


def post_process(
    labels: Image, spec: PostSpec, expected: Sequence[Expected] | None = None
) -> tuple[Image, dict[str, int]]:
    """Canonical labels (N, row, column) -> the same, tidied, and in how many slices each rule changed something.

    Args:
        labels: N slices.
        spec: which rules.
        expected: per slice; None = there is no stage 1.
    """
    tidy, corrected = labels.copy(), Counter[str]()
    places: Sequence[Expected | None] = expected or [None] * len(tidy)
    for image, place in zip(tidy, places, strict=True):
        if image.any():
            corrected.update(_tidy(image, spec, place))
    return tidy, dict(corrected)


def _tidy(image: Image, spec: PostSpec, expected: Expected | None) -> list[str]:
    """The rules that changed something."""
    rows, columns = ndimage.find_objects((image > 0).astype(np.uint8))[0]
    part = image[rows, columns]
    done = {}
    if spec.near_previous and expected and expected.size:
        here = Expected(expected.row - rows.start, expected.column - columns.start, expected.size)
        done["near_previous"] = _drop_far(part, here, spec.near_previous)
    if spec.one_pool:
        done["one_pool"] = _keep_one_pool(part)
    if spec.largest_component:
        left = _keep_largest(part, np.isin(part, LEFT))
        done["largest_component"] = _keep_largest(part, part == RV_BLOOD_POOL) or left
    if spec.fill_holes:
        done["fill_holes"] = _fill(part)
    if spec.one_ring:
        done["one_ring"] = _close_ring(part)
    return [rule for rule, changed in done.items() if changed]


def _drop_far(image: Image, expected: Expected, limit: float) -> bool:
    """Pieces of the left ventricle whose middle is farther than `limit` box sizes from where it is expected."""
    pieces, count = ndimage.label(np.isin(image, LEFT), NEIGHBOURS)
    middles = ndimage.center_of_mass(pieces > 0, pieces, range(1, count + 1))
    far = [
        number
        for number, (row, column) in enumerate(middles, start=1)
        if np.hypot(row - expected.row, column - expected.column) > limit * expected.size
    ]
    image[np.isin(pieces, far)] = 0
    return bool(far)


def _keep_one_pool(image: Image) -> bool:
    """Smaller pieces of blood pool that touch the wall become wall, others background."""
    pieces, count = ndimage.label(image == LV_BLOOD_POOL, NEIGHBOURS)
    if count < 2:
        return False
    largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
    for number in set(range(1, count + 1)) - {largest}:
        piece = pieces == number
        touches = (image[ndimage.binary_dilation(piece, NEIGHBOURS)] == LV_MYOCARDIUM).any()
        image[piece] = LV_MYOCARDIUM if touches else 0
    return True


def _keep_largest(image: Image, region: NDArray[np.bool_]) -> bool:
    pieces, count = ndimage.label(region, NEIGHBOURS)
    if count > 1:
        largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
        image[region & (pieces != largest)] = 0
    return bool(count > 1)


def _fill(image: Image) -> bool:
    """Holes in the cavity become cavity; holes in the ventricle become the nearest label of it."""
    cavity = image == LV_BLOOD_POOL
    in_cavity = ndimage.binary_fill_holes(cavity) & (image == 0)
    image[in_cavity] = LV_BLOOD_POOL
    ventricle = np.isin(image, LEFT)
    holes = ndimage.binary_fill_holes(ventricle) & ~ventricle & (image == 0)
    if holes.any():
        nearest = ndimage.distance_transform_edt(~ventricle, return_distances=False, return_indices=True)
        image[holes] = image[tuple(axis[holes] for axis in nearest)]
    return bool(in_cavity.any() or holes.any())


def _close_ring(image: Image) -> bool:
    """Where the cavity touches the background, one pixel of myocardium closes the wall, if there is a wall at all."""
    cavity, wall = image == LV_BLOOD_POOL, np.isin(image, LEFT[1:])
    if not wall.any() or not cavity.any():
        return False
    around = ndimage.binary_dilation(cavity, NEIGHBOURS) & (image == 0)
    touching = ndimage.binary_dilation(wall, NEIGHBOURS, iterations=3)
    image[around & touching] = LV_MYOCARDIUM
    return bool((around & touching).any())
