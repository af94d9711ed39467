"""From what net 1 saw on some slices to one square around the left ventricle of the series."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from irp_bundle.window import Window, whole

MIN_AREA = 0.0008  # share of the slice that a ventricle covers at least
FAR = 1.0  # sides of the median box by which a box may lie off before it counts as something else (a stomach)
QUANTILES = (0.05, 0.95)  # of the boxes' edges: one wrong slice moves nothing
FALLBACK_SIDE = 0.5  # share of the slice


@dataclass(frozen=True, slots=True)
class Found:
    """The square, and on how many slices it rests; 0 = nothing was found and the centre was taken."""

    window: Window
    slices: int


def agree(seen: NDArray[np.bool_], rows: int, columns: int) -> Found:
    """One square for all.

    Args:
        seen: (N, size, size), where net 1 saw the ventricle on whole slices.
        rows: of the slices.
        columns: of the slices.
    """
    edges = np.array([box for mask in seen if (box := _edges(mask)) is not None])
    view = whole(rows, columns)
    if not len(edges):
        side = FALLBACK_SIDE * max(rows, columns)
        return Found(Window(row=view.row, column=view.column, side=side), 0)
    centres = (edges[:, :2] + edges[:, 2:]) / 2
    sides = (edges[:, 2:] - edges[:, :2]).max(axis=1)
    near = np.linalg.norm(centres - np.median(centres, axis=0), axis=1) <= FAR * np.median(sides)
    edges = edges[near] if near.any() else edges
    low, high = np.quantile(edges[:, :2], QUANTILES[0], axis=0), np.quantile(edges[:, 2:], QUANTILES[1], axis=0)
    scale = view.side / seen.shape[-1]
    centre = (low + high) / 2 * scale  # edges lie between pixels: 0 is the outer edge of the first
    row, column = centre + np.array([view.row, view.column]) - view.side / 2
    return Found(Window(row=float(row), column=float(column), side=float((high - low).max() * scale)), len(edges))


def _edges(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of the largest piece; None if there is none worth the name."""
    pieces, count = ndimage.label(mask)
    if not count:
        return None
    sizes = np.bincount(pieces.ravel())[1:]
    if sizes.max() < MIN_AREA * mask.size:
        return None
    rows, columns = ndimage.find_objects(pieces)[int(sizes.argmax())]
    return rows.start, columns.start, rows.stop, columns.stop
