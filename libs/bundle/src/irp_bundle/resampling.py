"""An image of three axes on another grid, as MONAI's Spacing and `spatial_resample` have it.

The same places to the last bits, for halfway between two voxels they decide which is the nearest, and between air and
body whether a value is 0. Slab by slab: a list of every voxel's place would be larger than the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

SLAB_VOXELS = 1 << 20  # whose places are held at once

Affine = NDArray[np.float64]  # 4 x 4, index along the axes -> RAS mm
Mode = Literal["bilinear", "nearest"]
Padding = Literal["border", "zeros", "reflection"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How values between voxels are found.

    Attributes:
        mode: of the eight neighbours by their distance ("bilinear", as MONAI calls it), or the nearest.
        padding: what lies beyond the image: its border goes on, zeros, or the image mirrored.
        corners: -1 and 1 are the middles of the outermost voxels, not their outer borders (torch's `align_corners`).
    """

    mode: Mode = "bilinear"
    padding: Padding = "border"
    corners: bool = False


def regridded(affine: Affine, size: Sequence[int], spacing_mm: NDArray[np.float64]) -> tuple[Affine, tuple[int, ...]]:
    """A grid along the same axes with voxels of another size: its affine, and its voxels along each axis.

    It begins at the old one's first voxel; where the axes are not exactly perpendicular, as in most headers of oblique
    images, both have the same middle. Source: MONAI's `zoom_affine` and `compute_shape_offset`.
    """
    block, shape = affine[:3, :3], np.asarray(size, dtype=np.float64)
    upper = np.linalg.cholesky(block.T @ block).T
    new = np.eye(4)
    new[:3, :3] = block @ np.linalg.inv(upper) @ np.diag(np.sign(np.diag(upper)) * spacing_mm)
    corners = np.asarray(np.meshgrid(*([0.0, n - 1.0] for n in shape), indexing="ij")).reshape(3, -1)
    corners = np.concatenate([corners, np.ones_like(corners[:1])])
    there = (np.linalg.solve(new, affine) @ corners)[:3]
    sides = np.round(np.ptp(there, axis=1) + 1.0)
    least = [n for n, corner in enumerate(there.T) if np.allclose((there.T - corner).min(axis=0), 0.0)]
    middle = block @ (shape / 2.0) + affine[:3, 3] - new[:3, :3] @ (sides / 2.0)
    new[:3, 3] = (affine @ corners)[:3, least[0]] if least else middle
    return new, tuple(int(side) for side in sides)


def resampled(values: Tensor, between: Affine, size: Sequence[int], how: Sampling) -> Tensor:
    """Values (channel, *axes) on a new grid -> float32 (channel, *size), computed in float64.

    Args:
        values: float32.
        between: 4 x 4, index of the new grid -> index of the old one.
        size: voxels of the new grid.
        how: see Sampling.
    """
    flat = values.double().contiguous()[None]
    turned = _across(between, values.shape[1:], size, how.corners)
    first, *others = (_centres(n, how.corners) for n in size)
    found = torch.empty((values.shape[0], *size))
    step = max(1, SLAB_VOXELS // int(np.prod(size[1:])))
    for begin in range(0, size[0], step):
        slab = slice(begin, begin + step)
        places = torch.stack(torch.meshgrid(first[slab], *others, indexing="ij")[::-1], dim=-1)
        places = torch.cat([places, torch.ones_like(places[..., :1])], dim=-1).reshape(-1, 4)
        grid = (places @ turned[:3].T).view(1, -1, *size[1:], 3)
        found[:, slab] = functional.grid_sample(
            flat, grid, mode=how.mode, padding_mode=how.padding, align_corners=how.corners
        )[0]
    return found


def _across(between: Affine, old: Sequence[int], new: Sequence[int], corners: bool) -> Tensor:
    """The same from -1 to 1 across the new grid to -1 to 1 across the old one, the last axis first, as torch counts."""
    back = torch.from_numpy(np.linalg.inv(_norm(new, corners).numpy()))
    # As one batch of one: torch multiplies matrices by themselves in another order of sums.
    turned = (_norm(old, corners)[None] @ torch.from_numpy(between)[None] @ back[None])[0]
    order = [2, 1, 0, 3]
    return turned[order][:, order]


def _norm(size: Sequence[int], corners: bool) -> Tensor:
    """Index -> -1 to 1, across the image or between the middles of its outermost voxels."""
    sides = torch.tensor(tuple(size), dtype=torch.float64)
    scale = 2.0 / (sides.where(sides > 1, 2.0) - 1.0) if corners else 2.0 / sides
    norm = torch.diag(torch.cat([scale, torch.ones(1, dtype=torch.float64)]))
    norm[:3, 3] = -1.0 if corners else 1.0 / sides - 1.0
    return norm


def _centres(count: int, corners: bool) -> Tensor:
    """Of the voxels of an axis, from -1 to 1."""
    if count == 1:
        return torch.zeros(1, dtype=torch.float64)
    line = torch.linspace(-1, 1, count, dtype=torch.float64)
    return line if corners else line * (count - 1) / count
