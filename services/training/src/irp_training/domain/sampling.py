"""From a slice and a window on it to what a net sees: one bilinear interpolation, whatever turns and scales are asked.

A window is a square on the slice, in pixels of the slice: centre (row, column) at pixel centres, side, and, for
augmentation only, an angle and a mirror. Without them it is exactly the window that inference cuts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A square on a slice.

    Attributes:
        row: of the centre, pixels; 0.0 is the centre of the first pixel.
        column: of the centre, pixels.
        side: length, pixels.
        angle: radians.
        mirror: -1.0 swaps left and right, 1.0 does not.
    """

    row: float
    column: float
    side: float
    angle: float = 0.0
    mirror: float = 1.0


def cut(image: Tensor, window: Window, size: int, *, labels: bool = False) -> Tensor:
    """Sample a window.

    Args:
        image: (row, column) float32.
        window: where.
        size: pixels along each side of the answer.
        labels: True: nearest neighbour, outside is 0; False: bilinear, outside is the border's value.

    Returns:
        (size, size) float32.
    """
    grid = functional.affine_grid(_theta(window, image.shape[0], image.shape[1]), [1, 1, size, size], False)
    mode, padding = ("nearest", "zeros") if labels else ("bilinear", "border")
    return functional.grid_sample(image[None, None], grid, mode=mode, padding_mode=padding, align_corners=False)[0, 0]


def _theta(window: Window, rows: int, columns: int) -> Tensor:
    cos, sin = math.cos(window.angle) * window.side, math.sin(window.angle) * window.side
    x = (cos * window.mirror / columns, -sin / columns, (2 * window.column + 1) / columns - 1)
    y = (sin * window.mirror / rows, cos / rows, (2 * window.row + 1) / rows - 1)
    return torch.tensor([[x, y]], dtype=torch.float32)
