"""A network that knows an image at its own voxels: patches slide over the whole of it, and nothing is resampled.

The same patches, padding and weights as MONAI's `SliceInferer` and `SlidingWindowInferer`, whose masks a test compares.
For `segment.slide`, intensities are scaled over the slice or over all slices of the frame: a function of the volume,
not of what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from irp_bundle.errors import RegionTooLarge
from irp_bundle.networks import Stage
from irp_bundle.prepare import as_images
from irp_bundle.program import Look
from irp_bundle.program_scale import MinMax, Range, Standard
from irp_bundle.scores import ask
from irp_bundle.spec import Normalise
from irp_bundle.steps import Steps

TILES_AT_ONCE = 32
VOXELS_AT_ONCE = 1 << 21  # of patches in one pass
MAX_SCORES = 1 << 28  # numbers, of all channels: a gigabyte


def scaled(array: NDArray[np.generic], how: Normalise) -> Tensor:
    """All slices of one frame (slice, row, column) -> float32 (slice, 1, row, column) in the network's intensities.

    Raises:
        ImageNotFinite: a value is NaN or infinite.
    """
    images = as_images(array)
    if how.kind == "none":
        return images
    if how.kind == "clip":
        return Range(a_min=how.a_min, a_max=how.a_max, b_min=0, b_max=1, clip=True).scaled(images)
    step = MinMax() if how.kind == "minmax" else Standard(nonzero=how.nonzero)
    parts = images.split(1) if how.over == "slice" else (images,)
    return torch.cat([step.scaled(part) for part in parts])


def tile(images: Tensor, look: Look, members: Sequence[Stage], augment: Sequence[str]) -> Steps[Tensor]:
    """Scores of images (N, 1, *axes) on their own grid -> (N, channels, *axes), by patches of `look.size`.

    Raises:
        RegionTooLarge: beyond MAX_SCORES.
    """
    from monai.data.utils import compute_importance_map, dense_patch_slices  # seconds, for those that slide alone

    sides = images.shape[2:]
    before, padded = _padded(images, look)
    plane, patch = tuple(padded.shape[2:]), look.size
    steps = [max(1, int(p * (1 - o))) if p < n else p for p, o, n in zip(patch, look.overlap, plane, strict=True)]
    places = dense_patch_slices(plane, patch, steps)
    weight = compute_importance_map(patch, mode=look.blend, sigma_scale=look.sigma)
    every = [(number, place) for number in range(len(images)) for place in places]
    total: Tensor | None = None
    weights = torch.zeros(plane)
    for place in places:
        weights[place] += weight
    at_once = min(TILES_AT_ONCE, max(1, VOXELS_AT_ONCE // math.prod(patch)))
    for begin in range(0, len(every), at_once):
        some = every[begin : begin + at_once]
        inputs = torch.stack([padded[number][:, *place] for number, place in some]).numpy()
        scores = torch.from_numpy((yield from ask(members, augment, inputs)))
        total = _nothing(len(images), scores.shape[1], *plane) if total is None else total
        for (number, place), answer in zip(some, scores, strict=True):
            total[number][:, *place] += answer * weight
    assert total is not None  # noqa: S101 - every image has a tile
    inside = tuple(slice(first, first + side) for first, side in zip(before, sides, strict=True))
    return total.div_(weights)[(slice(None), slice(None), *inside)]


def _nothing(*size: int) -> Tensor:
    """Where scores are added up: (N, channels, *axes)."""
    if math.prod(size) > MAX_SCORES:
        raise RegionTooLarge(limit_voxels=MAX_SCORES // size[1])
    return torch.zeros(size)


def _padded(images: Tensor, look: Look) -> tuple[list[int], Tensor]:
    """More around what is smaller than a patch; how many voxels come before, along each axis."""
    missing = [max(p - n, 0) for p, n in zip(look.size, images.shape[2:], strict=True)]
    before = [m // 2 for m in missing]
    ends = [end for m, b in zip(reversed(missing), reversed(before), strict=True) for end in (b, m - b)]
    if not any(ends):
        return before, images
    value = look.fill if look.padding == "constant" else None
    return before, functional.pad(images, ends, mode=look.padding, value=value)
