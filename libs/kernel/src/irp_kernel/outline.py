"""The border of a region of pixels as polygons, half-way between pixel centres.

A border is walked along the four sides of pixels' midpoints: each step joins two crossings between a pixel inside and
one outside. Inside pixels that touch only at a corner are two pieces.
Source: marching squares, Lorensen and Cline 1987, in two dimensions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
"""(n, 2): column, row, in pixels; pixel centres are integers."""

_UP, _RIGHT, _DOWN, _LEFT = (-1, 0), (0, 1), (1, 0), (0, -1)  # crossings of a cell, in half pixels from its middle
# Cell = 8 top left + 4 top right + 2 bottom right + 1 bottom left -> steps with the inside on their right.
_STEPS: dict[int, list[tuple[tuple[int, int], tuple[int, int]]]] = {
    1: [(_DOWN, _LEFT)], 2: [(_RIGHT, _DOWN)], 3: [(_RIGHT, _LEFT)], 4: [(_UP, _RIGHT)],
    5: [(_UP, _RIGHT), (_DOWN, _LEFT)], 6: [(_UP, _DOWN)], 7: [(_UP, _LEFT)], 8: [(_LEFT, _UP)],
    9: [(_DOWN, _UP)], 10: [(_LEFT, _UP), (_RIGHT, _DOWN)], 11: [(_RIGHT, _UP)], 12: [(_LEFT, _RIGHT)],
    13: [(_DOWN, _RIGHT)], 14: [(_LEFT, _DOWN)],
}  # fmt: skip


def outline(region: NDArray[np.bool_]) -> list[Points]:
    """Closed polygons without the repeated last point; a hole is a polygon of its own.

    Args:
        region: (rows, columns).
    """
    rows, columns = np.nonzero(region)
    if not len(rows):
        return []
    top, left = int(rows.min()), int(columns.min())
    part = np.pad(region[top : rows.max() + 1, left : columns.max() + 1], 1).astype(np.uint8)
    cells = 8 * part[:-1, :-1] + 4 * part[:-1, 1:] + 2 * part[1:, 1:] + part[1:, :-1]
    where = np.nonzero((cells > 0) & (cells < 15))
    after: dict[tuple[int, int], tuple[int, int]] = {}
    for row, column, cell in zip(*(axis.tolist() for axis in where), cells[where].tolist(), strict=True):
        middle_row, middle_column = 2 * row + 1, 2 * column + 1
        for (r0, c0), (r1, c1) in _STEPS[cell]:
            after[middle_row + r0, middle_column + c0] = (middle_row + r1, middle_column + c1)
    # From half pixels of the padded part to pixels of the image.
    shift = np.array([left - 1, top - 1], dtype=np.float64)
    return [np.array(line, dtype=np.float64)[:, ::-1] / 2 + shift for line in _walk(after)]


def enclosed_area(points: Points) -> float:
    """Area in square pixels. Source: the shoelace formula."""
    x, y = points[:, 0], points[:, 1]
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2)


def _walk(after: dict[tuple[int, int], tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """Follow the steps until each line closes. Every crossing lies between two cells, so it is left exactly once."""
    lines = []
    while after:
        start, point = after.popitem()
        line = [start]
        while point != start:
            line.append(point)
            point = after.pop(point)
        lines.append(line)
    return lines
