"""Squares cut out of slices, and answers put back: the one resampling that training and inference share.

A window is (row, column, side): its centre, in pixels (a pixel's centre is a whole number), and the length of its
side in pixels. Windows travel as float tensors (N, 3), or (N, 4) where a window is (row, column, height, width).
Spacing plays no part: a window says the scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

PASTE_CHUNK = 16  # slices whose answers are resampled at once: bounds the memory
SAMPLED_AT_ONCE = 1 << 26  # points of fine grids: bounds the memory, whatever a spacing says
MAX_OVERSAMPLING = 8  # source pixels averaged per crop pixel and side


def whole_windows(images: Tensor) -> Tensor:
    """The square that holds the whole slice, for each of images (N, 1, rows, columns) -> (N, 3)."""
    rows, columns = images.shape[-2:]
    window = torch.tensor([(rows - 1) / 2, (columns - 1) / 2, float(max(rows, columns))])
    return window.expand(images.shape[0], 3).clone()


def at_spacing(windows: Tensor, size: int, spacing: float, pixel_mm: tuple[float, float]) -> Tensor:
    """The same middles with sides of size x spacing mm, where pixels are (row, column) mm apart -> (N, 4)."""
    sides = torch.tensor([size * spacing / step for step in pixel_mm]).expand(windows.shape[0], 2)
    return torch.cat([windows[:, :2], sides.to(windows.dtype)], dim=1)


def sample(images: Tensor, windows: Tensor, size: int, turn: Tensor | None = None) -> Tensor:
    """Cut windows out of images, on a grid of size x size pixels; bilinear, averaged where it shrinks.

    Args:
        images: float32 (N, C, rows, columns).
        windows: (N, 3).
        size: pixels per side of the answer.
        turn: (N, 2, 2) or None: takes offsets (row, column) in the crop to offsets in the image; rotations,
            flips and stretchings for augmentation.

    Returns:
        float32 (N, C, size, size); the slice's own minimum is 0, and so is what lies outside.
    """
    finer = min(MAX_OVERSAMPLING, max(1, math.ceil(float(windows[:, 2:].max()) / size - 0.3)))
    step = max(1, SAMPLED_AT_ONCE // (size * finer) ** 2)
    parts = [slice(begin, begin + step) for begin in range(0, len(images), step)]
    crops = [_sample(images[p], windows[p], size, finer, turn if turn is None else turn[p]) for p in parts]
    return torch.cat(crops) if len(crops) > 1 else crops[0]


def _sample(images: Tensor, windows: Tensor, size: int, finer: int, turn: Tensor | None) -> Tensor:
    shifted = images - images.amin(dim=(2, 3), keepdim=True)
    grid = _grid(windows, images.shape, size * finer, turn)
    crops = functional.grid_sample(shifted, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return functional.avg_pool2d(crops, finer) if finer > 1 else crops


def sample_labels(labels: Tensor, windows: Tensor, size: int, turn: Tensor | None = None) -> Tensor:
    """Cut windows out of label images (N, rows, columns), nearest neighbour -> int64 (N, size, size)."""
    grid = _grid(windows, (labels.shape[0], 1, *labels.shape[1:]), size, turn)
    crops = functional.grid_sample(
        labels[:, None].float(), grid, mode="nearest", padding_mode="zeros", align_corners=False
    )
    return crops[:, 0].round().long()


def paste(logits: Tensor, windows: Tensor, shape: tuple[int, int]) -> Tensor:
    """Answers on the crops' grid -> labels on the images' own grid.

    Args:
        logits: (N, channels, size, size).
        windows: (N, 3), from which the crops were cut.
        shape: (rows, columns) of the images.

    Returns:
        uint8 (N, rows, columns): the strongest channel; 0 outside the window.
    """
    return _paste(logits, windows, shape, lambda finer: finer.argmax(dim=1))


def paste_values(values: Tensor, windows: Tensor, shape: tuple[int, int]) -> Tensor:
    """Numbers from 0 to 255 on the crops' grid, (N, 1, size, size) -> uint8 (N, rows, columns); 0 outside."""
    return _paste(values, windows, shape, lambda finer: finer[:, 0].round())


def _paste(maps: Tensor, windows: Tensor, shape: tuple[int, int], settle: Callable[[Tensor], Tensor]) -> Tensor:
    """`settle` makes one map of the channels, once they are on the image's grid."""
    pasted = torch.zeros((maps.shape[0], *shape), dtype=torch.uint8)
    for begin in range(0, maps.shape[0], PASTE_CHUNK):
        part = slice(begin, begin + PASTE_CHUNK)
        _paste_chunk(maps[part], windows[part], pasted[part], settle)
    return pasted


def _paste_chunk(maps: Tensor, windows: Tensor, labels: Tensor, settle: Callable[[Tensor], Tensor]) -> None:
    rows, columns = labels.shape[1:]
    reach = min(math.ceil(float(windows[:, 2:].max())) + 1, max(rows, columns))
    first = torch.floor(windows[:, :2] - windows[:, 2:] / 2 + 0.5).long().clamp_min(0)
    steps = torch.arange(reach)
    at_row = 2 * (first[:, :1] + steps - windows[:, :1]) / windows[:, 2:3]
    at_column = 2 * (first[:, 1:] + steps - windows[:, 1:2]) / windows[:, -1:]
    grid = torch.stack([at_column[:, None, :].expand(-1, reach, -1), at_row[:, :, None].expand(-1, -1, reach)], dim=-1)
    finer = functional.grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)
    inside = (at_row.abs() <= 1)[:, :, None] & (at_column.abs() <= 1)[:, None, :]
    strongest = (settle(finer) * inside).to(torch.uint8)
    for number in range(labels.shape[0]):
        top, left = int(first[number, 0]), int(first[number, 1])
        r0, r1, c0, c1 = max(top, 0), min(top + reach, rows), max(left, 0), min(left + reach, columns)
        if r1 > r0 and c1 > c0:
            labels[number, r0:r1, c0:c1] = strongest[number, r0 - top : r1 - top, c0 - left : c1 - left]


def _grid(windows: Tensor, shape: tuple[int, ...] | torch.Size, size: int, turn: Tensor | None) -> Tensor:
    """Where each crop pixel lies in the image, in grid_sample's (column, row) from -1 to 1."""
    rows, columns = shape[-2:]
    steps = (torch.arange(size) + 0.5) / size - 0.5
    offsets = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)[None] * windows[:, None, None, 2:]
    if turn is not None:
        offsets = torch.einsum("nij,nhwj->nhwi", turn.to(offsets.dtype), offsets)
    at = offsets + windows[:, None, None, :2]
    return torch.stack([(2 * at[..., 1] + 1) / columns - 1, (2 * at[..., 0] + 1) / rows - 1], dim=-1).float()
