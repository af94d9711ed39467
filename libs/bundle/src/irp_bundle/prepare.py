"""From voxels to what a network sees: exactly the same in training and in inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from irp_kernel.errors import InvalidArgument
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.sampling import sample, whole_windows
from irp_bundle.spec import LocateSpec, Normalise, SegmentSpec

STATISTICS_STRIDE = 2  # every second pixel and row is enough for percentiles
SMALLEST_SPREAD = 1e-6


class ImageNotFinite(InvalidArgument):
    """The image holds values that are not finite.

    Replace NaN and infinity by numbers and upload the image again.
    """


def as_images(array: NDArray[Any]) -> Tensor:
    """Slices (N, rows, columns) of any real dtype -> float32 (N, 1, rows, columns).

    Raises:
        ImageNotFinite: a value is NaN or infinite.
    """
    return as_stacks(array[:, None])


def as_stacks(array: NDArray[Any]) -> Tensor:
    """Slices with their channels (N, C, rows, columns) of any real dtype -> float32.

    Raises:
        ImageNotFinite: a value is NaN or infinite.
    """
    images = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))
    if not bool(torch.isfinite(images).all()):
        raise ImageNotFinite
    return images


def prepare_locate(
    images: Tensor, spec: LocateSpec, windows: Tensor | None = None, turn: Tensor | None = None
) -> Tensor:
    """Input of stage 1: whole slices (or windows of a second look) -> float32 (N, 1, size, size)."""
    windows = whole_windows(images) if windows is None else windows
    return _prepare(images, windows, spec, turn)


def prepare_segment(images: Tensor, windows: Tensor, spec: SegmentSpec, turn: Tensor | None = None) -> Tensor:
    """Input of stage 2: images (N, C, rows, columns) and windows (N, 3 or 4) -> float32 (N, C, size, size)."""
    return _prepare(images, windows, spec, turn)


def _prepare(images: Tensor, windows: Tensor, spec: LocateSpec | SegmentSpec, turn: Tensor | None) -> Tensor:
    crops = sample(images, windows, spec.size, turn)
    if spec.normalise.absolute:
        crops = crops + images.amin(dim=(2, 3), keepdim=True)
    return normalise(crops.flatten(0, 1), spec.normalise).view_as(crops)


def normalise(crops: Tensor, how: Normalise) -> Tensor:
    """Bring each crop (N, row, column) or region (N, slice, row, column) to the network's intensities, by itself.

    A slice asked alone and the same slice in its series give the same numbers.
    """
    if how.kind == "none":
        return crops
    if how.kind == "clip":
        return (crops.clamp(how.a_min, how.a_max) - how.a_min) / (how.a_max - how.a_min)
    inner, each = tuple(range(1, crops.ndim)), (-1, *[1] * (crops.ndim - 1))
    thin = crops[..., ::STATISTICS_STRIDE, ::STATISTICS_STRIDE].flatten(1)
    low, high = (value.view(each) for value in _percentiles(thin, how))
    clipped = torch.minimum(torch.maximum(crops, low), high)
    if how.kind == "percentile":
        return (clipped - low) / (high - low).clamp_min(SMALLEST_SPREAD)
    mean = clipped.mean(dim=inner, keepdim=True)
    spread = clipped.std(dim=inner, keepdim=True).clamp_min(SMALLEST_SPREAD)
    return (clipped - mean) / spread


def _percentiles(values: Tensor, how: Normalise) -> tuple[Tensor, Tensor]:
    """Percentiles of each row over its positive values: zero is padding and the darkest air."""
    ordered = values.sort(dim=1).values
    count = ordered.shape[1]
    first = (ordered <= 0).sum(dim=1).clamp_max(count - 1)

    def at(percent: float) -> Tensor:
        place = first + (percent / 100 * (count - 1 - first)).round().long()
        return ordered.gather(1, place[:, None])[:, 0]

    return at(how.low), at(how.high)
