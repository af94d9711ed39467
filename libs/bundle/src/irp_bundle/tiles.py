"""A network that knows slices at their own pixels: patches slide over the whole slice, and nothing is resampled.

The same patches, padding and weights as MONAI's `SliceInferer` and `SlidingWindowInferer`, whose masks a test compares.
Intensities are scaled over the slice or over all slices of the frame: a function of the volume, not of what was asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from irp_bundle.networks import Stage
from irp_bundle.prepare import as_images
from irp_bundle.scores import ask
from irp_bundle.spec import Normalise, SegmentSpec
from irp_bundle.steps import Steps

TILES_AT_ONCE = 32


def scaled(array: NDArray[np.generic], how: Normalise) -> Tensor:
    """All slices of one frame (slice, row, column) -> float32 (slice, 1, row, column) in the network's intensities.

    Raises:
        ImageNotFinite: a value is NaN or infinite.
    """
    images = as_images(array)
    if how.kind == "none":
        return images
    if how.kind == "clip":
        return ((images - how.a_min) / (how.a_max - how.a_min)).clamp(0, 1)
    parts = images.split(1) if how.over == "slice" else (images,)
    return torch.cat([_minmax(part) if how.kind == "minmax" else _standard(part, how.nonzero) for part in parts])


def tile(images: Tensor, spec: SegmentSpec, members: Sequence[Stage], augment: Sequence[str]) -> Steps[Tensor]:
    """Scores of slices (N, 1, row, column) on their own grid -> (N, channels, row, column)."""
    from monai.data.utils import compute_importance_map, dense_patch_slices  # seconds, for those that slide alone

    rows, columns = images.shape[2:]
    before, padded = _padded(images, spec.size)
    plane = tuple(padded.shape[2:])
    patch = (spec.size, spec.size)  # rows, columns
    steps = [max(1, int(p * (1 - spec.overlap))) if p < n else p for p, n in zip(patch, plane, strict=True)]
    places = dense_patch_slices(plane, patch, steps)
    weight = compute_importance_map(patch, mode=spec.blend, sigma_scale=0.125)
    every = [(number, place) for number in range(len(images)) for place in places]
    total: Tensor | None = None
    weights = torch.zeros(plane)
    for r, c in places:
        weights[r, c] += weight
    for begin in range(0, len(every), TILES_AT_ONCE):
        some = every[begin : begin + TILES_AT_ONCE]
        inputs = torch.stack([padded[number, :, r, c] for number, (r, c) in some]).numpy()
        scores = torch.from_numpy((yield from ask(members, augment, inputs)))
        total = torch.zeros((len(images), scores.shape[1], *plane)) if total is None else total
        for (number, (r, c)), answer in zip(some, scores, strict=True):
            total[number, :, r, c] += answer * weight
    assert total is not None  # noqa: S101 - every slice has a tile
    top, left = before
    return (total / weights)[..., top : top + rows, left : left + columns]


def _padded(images: Tensor, size: int) -> tuple[tuple[int, int], Tensor]:
    """Zeros around what is smaller than a patch; how many rows and columns come before."""
    missing = [max(size - n, 0) for n in images.shape[2:]]
    top, left = (m // 2 for m in missing)
    return (top, left), functional.pad(images, (left, missing[1] - left, top, missing[0] - top))


def _minmax(images: Tensor) -> Tensor:
    low, high = images.amin(), images.amax()
    if low == high:
        return images * 0.0
    return (images - low) / (high - low)


def _standard(images: Tensor, nonzero: bool) -> Tensor:
    counted = images != 0 if nonzero else torch.ones_like(images, dtype=torch.bool)
    if not bool(counted.any()):
        return images
    values = images[counted]
    spread = values.std(correction=0)
    return torch.where(counted, (images - values.mean()) / (spread if spread > 0 else 1.0), images)
