"""Polygons <-> pixels, exactly.

Convention: pixel (column c, row r) has its centre at the point (c, r); its area reaches from c - 0.5 to c + 0.5.
A pixel belongs to a polygon if its centre lies inside by the even-odd rule; a centre on the border belongs to the
polygon on its right or lower side, so that polygons that share an edge never share or lose a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours

Points = NDArray[np.float64]  # (n, 2): column, row


def rasterise(polygons: Sequence[Points], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels whose centres lie inside an odd number of the polygons (so a ring is an outer and an inner one).

    Args:
        polygons: closed implicitly, (n, 2) as (column, row) in pixels.
        shape: (rows, columns).

    Source: even-odd scan conversion, Foley et al., Computer Graphics, section 3.6.
    """
    rows, columns = shape
    toggles = np.zeros((rows, columns + 1), dtype=np.uint8)
    for points in polygons:
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            _cross(toggles, (x0, y0), (x1, y1), rows, columns)
    return np.bitwise_xor.accumulate(toggles[:, :columns], axis=1).astype(np.bool_)


def _cross(
    toggles: NDArray[np.uint8], start: tuple[float, float], end: tuple[float, float], rows: int, columns: int
) -> None:
    """Note where an edge crosses each row of centres: everything to its right changes sides."""
    (x0, y0), (x1, y1) = (start, end) if start[1] <= end[1] else (end, start)
    first, last = max(0, int(np.ceil(y0))), min(rows, int(np.ceil(y1)))
    if first >= last:
        return
    y = np.arange(first, last)
    x = x0 + (y - y0) / (y1 - y0) * (x1 - x0)  # the fraction first: it stays finite for the flattest edge
    at = np.clip(np.ceil(x), 0, columns).astype(np.intp)
    toggles[y, at] ^= 1


def trace(region: NDArray[np.bool_]) -> list[Points]:
    """Border polygons of a region, half-way between pixel centres; `rasterise` of them gives the region back.

    Args:
        region: (rows, columns).

    Returns:
        Closed polygons (column, row) without the repeated last point; holes are polygons of their own.
    """
    padded = np.pad(region, 1).astype(np.float64)
    return [line[:-1, ::-1] - 1.0 for line in find_contours(padded, 0.5)]
