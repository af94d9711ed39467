"""What anatomy knows and a network may forget, slice by slice."""

from __future__ import annotations

import numpy as np
from irp_kernel.mask import LV_BLOOD_POOL, LV_MYOCARDIUM, NO_REFLOW, RV_BLOOD_POOL, SCAR
from numpy.typing import NDArray
from scipy import ndimage

from irp_bundle.spec import PostSpec

LEFT = (LV_BLOOD_POOL, LV_MYOCARDIUM, SCAR, NO_REFLOW)
NEIGHBOURS = ndimage.generate_binary_structure(2, 2)  # diagonal neighbours touch: a thin wall is one piece


def post_process(labels: NDArray[np.uint8], spec: PostSpec) -> NDArray[np.uint8]:
    """Canonical labels (N, row, column) -> the same, tidied."""
    tidy = labels.copy()
    for image in tidy:
        if image.any():
            _tidy(image, spec)
    return tidy


def _tidy(image: NDArray[np.uint8], spec: PostSpec) -> None:
    rows, columns = ndimage.find_objects((image > 0).astype(np.uint8))[0]
    part = image[rows, columns]
    if spec.largest_component:
        _keep_largest(part, np.isin(part, LEFT))
        _keep_largest(part, part == RV_BLOOD_POOL)
    if spec.fill_holes:
        _fill(part)
    if spec.one_ring:
        _close_ring(part)


def _keep_largest(image: NDArray[np.uint8], region: NDArray[np.bool_]) -> None:
    pieces, count = ndimage.label(region, NEIGHBOURS)
    if count > 1:
        largest = int(np.bincount(pieces.ravel())[1:].argmax()) + 1
        image[region & (pieces != largest)] = 0


def _fill(image: NDArray[np.uint8]) -> None:
    """Holes in the cavity become cavity; holes in the ventricle become the nearest label of it."""
    cavity = image == LV_BLOOD_POOL
    image[ndimage.binary_fill_holes(cavity) & (image == 0)] = LV_BLOOD_POOL
    ventricle = np.isin(image, LEFT)
    holes = ndimage.binary_fill_holes(ventricle) & ~ventricle & (image == 0)
    if holes.any():
        nearest = ndimage.distance_transform_edt(~ventricle, return_distances=False, return_indices=True)
        image[holes] = image[tuple(axis[holes] for axis in nearest)]


def _close_ring(image: NDArray[np.uint8]) -> None:
    """Where the cavity touches the background, one pixel of myocardium closes the wall, if there is a wall at all."""
    cavity, wall = image == LV_BLOOD_POOL, np.isin(image, LEFT[1:])
    if not wall.any() or not cavity.any():
        return
    around = ndimage.binary_dilation(cavity, NEIGHBOURS) & (image == 0)
    touching = ndimage.binary_dilation(wall, NEIGHBOURS, iterations=3)
    image[around & touching] = LV_MYOCARDIUM
