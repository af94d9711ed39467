"""How often, and along which axes, a U-Net halves its grid; and what memory a step over that grid takes.

Finer axes are halved alone until their spacing is within a factor of two of the coarser ones', so that the net's cells
become as nearly cubes as they can; no axis below four cells. Source: nnU-Net, Isensee et al., Nature Methods
18:203-211, 2021, "network topology".
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from irp_training.domain.errors import BadRecipe

LEAST_EDGE = 4  # cells along an axis of the coarsest grid
MOST_POOLINGS = 5
FACTOR = 2.0  # of spacings, from which a coarser axis is not halved yet
FIRST_WIDTH, MOST_WIDTH = 16, 256  # channels; nnU-Net's 32 and 320 are made for a GPU
# Tensors of a level's width, of float32, that a step takes: nets of this house keep 4.2 of them for their way back
# (counted, with two and with three axes), and their gradients and what convolutions need meanwhile are as large again.
TENSORS_KEPT = 9
FLOAT_BYTES = 4

Strides = list[list[int]]


def poolings(grid: Sequence[int], spacing_mm: Sequence[float], levels: int = 0, *, exact: bool = True) -> Strides:
    """The factor along each axis from each level to the next.

    Args:
        grid: cells along each axis, (row, column) or (slice, row, column).
        spacing_mm: likewise.
        levels: of the net; 0 = as many as the rule gives. Beyond those the finest axes are halved on.
        exact: only even numbers of cells are halved, as a net does; else what is odd counts as one more: see `padded`.

    Raises:
        BadRecipe: so many levels do not divide this grid.
    """
    cells, steps, found = list(grid), list(spacing_mm), Strides()
    while len(found) < (levels - 1 if levels else MOST_POOLINGS):
        halved = _halved(cells, steps, exact)
        if not any(halved):
            if not levels:
                break
            halved = [step == min(steps) for step in steps]
            _require_even(cells, halved, grid, levels, exact)
        found.append([2 if one else 1 for one in halved])
        cells = [-(-n // 2) if one else n for n, one in zip(cells, halved, strict=True)]
        steps = [2 * step if one else step for step, one in zip(steps, halved, strict=True)]
    return found


def factors(strides: Strides, axes: int) -> list[int]:
    """By what each axis of a grid must be divisible."""
    return [math.prod(stride[axis] for stride in strides) for axis in range(axes)]


def padded(grid: Sequence[int], strides: Strides) -> tuple[int, ...]:
    """The smallest grid that holds this one and can be halved so."""
    return tuple(-(-n // by) * by for n, by in zip(grid, factors(strides, len(grid)), strict=True))


def widths(levels: int) -> tuple[int, ...]:
    """Channels of each level."""
    return tuple(min(FIRST_WIDTH * 2**level, MOST_WIDTH) for level in range(levels))


def step_bytes(grid: Sequence[int], strides: Strides, channels: Sequence[int]) -> int:
    """About what one example of a step takes while the net learns from it."""
    cells, total = float(math.prod(grid)), 0.0
    for width, stride in zip(channels, [[1] * len(grid), *strides], strict=True):
        cells /= math.prod(stride)
        total += cells * width
    return int(total * TENSORS_KEPT * FLOAT_BYTES)


def _halved(cells: Sequence[int], steps: Sequence[float], exact: bool) -> list[bool]:
    """Along which axes the rule halves next."""
    large = [n >= 2 * LEAST_EDGE and not (exact and n % 2) for n in cells]
    finest = min((step for step, one in zip(steps, large, strict=True) if one), default=math.inf)
    return [one and step < FACTOR * finest for step, one in zip(steps, large, strict=True)]


def _require_even(cells: Sequence[int], halved: Sequence[bool], grid: Sequence[int], levels: int, exact: bool) -> None:
    """Raise where an odd number of cells would be halved, or one cell be left: a net has nothing to normalise there."""
    odd = any(n % 2 for n, one in zip(cells, halved, strict=True) if one)
    left = math.prod(n // 2 if one else n for n, one in zip(cells, halved, strict=True))
    if exact and (odd or left < 2):
        sizes = " x ".join(map(str, grid))
        raise BadRecipe(
            f"a grid of {sizes} cannot be halved {levels - 1} times: fewer `segment_channels`, or other sizes"
        )
