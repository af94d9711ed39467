"""Windows on slices: what a net sees, and back onto the slice. Training and inference use the same ones.

A window is a square in pixels of the slice: centre (row, column) at pixel centres, side. Training may turn it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

CLIP = 4.0  # standard deviations


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A square on a slice.

    Attributes:
        row: of the centre, pixels; 0.0 is the centre of the first pixel.
        column: of the centre, pixels.
        side: length, pixels.
        angle: radians; augmentation only.
        mirror: -1.0 swaps left and right, 1.0 does not; augmentation only.
    """

    row: float
    column: float
    side: float
    angle: float = 0.0
    mirror: float = 1.0


def whole(rows: int, columns: int) -> Window:
    """The window that holds a whole slice."""
    return Window(row=(rows - 1) / 2, column=(columns - 1) / 2, side=float(max(rows, columns)))


def normalise(images: Tensor) -> Tensor:
    """(..., row, column): zero mean and unit deviation each, clipped."""
    mean, deviation = images.mean((-2, -1), keepdim=True), images.std((-2, -1), keepdim=True)
    return ((images - mean) / (deviation + 1e-6)).clamp(-CLIP, CLIP)


def cut(images: Tensor, window: Window, size: int, *, labels: bool = False) -> Tensor:
    """Sample a window.

    Args:
        images: (N, row, column) or (row, column) float32.
        window: where; the same on every image.
        size: pixels along each side of the answer.
        labels: True: nearest neighbour, outside is 0; False: bilinear, outside is the border's value.

    Returns:
        (N, size, size) or (size, size) float32.
    """
    stack = images if images.dim() == 3 else images[None]
    theta = _theta(window, stack.shape[-2], stack.shape[-1])
    grid = functional.affine_grid(theta, [1, 1, size, size], align_corners=False)
    mode, padding = ("nearest", "zeros") if labels else ("bilinear", "border")
    found = functional.grid_sample(stack[None], grid, mode=mode, padding_mode=padding, align_corners=False)[0]
    return found if images.dim() == 3 else found[0]


@dataclass(frozen=True, slots=True)
class Patch:
    """The part of a slice that a window covers: rows [top, bottom), columns [left, right)."""

    top: int
    bottom: int
    left: int
    right: int


def paste(logits: Tensor, window: Window, rows: int, columns: int) -> tuple[Tensor, Patch]:
    """Logits of a window on the pixels of the slice that lie in it.

    Args:
        logits: (N, channel, size, size).
        window: that they were computed on; not turned, not mirrored.
        rows: of the slice.
        columns: of the slice.

    Returns:
        (N, channel, height, width) on the patch, and the patch.
    """
    half = window.side / 2
    top, bottom = max(0, math.ceil(window.row - half)), min(rows, math.floor(window.row + half) + 1)
    left, right = max(0, math.ceil(window.column - half)), min(columns, math.floor(window.column + half) + 1)
    y = (torch.arange(top, bottom, dtype=torch.float32) - window.row) / half
    x = (torch.arange(left, right, dtype=torch.float32) - window.column) / half
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1)
    pasted = functional.grid_sample(
        logits, grid.expand(len(logits), -1, -1, -1), mode="bilinear", padding_mode="border", align_corners=False
    )
    return pasted, Patch(top, bottom, left, right)


def _theta(window: Window, rows: int, columns: int) -> Tensor:
    cos, sin = math.cos(window.angle) * window.side, math.sin(window.angle) * window.side
    x = (cos * window.mirror / columns, -sin / columns, (2 * window.column + 1) / columns - 1)
    y = (sin * window.mirror / rows, cos / rows, (2 * window.row + 1) / rows - 1)
    return torch.tensor([[x, y]], dtype=torch.float32)
