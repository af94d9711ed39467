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
    images = torch.from_numpy(np.array(array, dtype=np.float32, order="C"))[:, None]
    if not bool(torch.isfinite(images).all()):
        raise ImageNotFinite
    return images


def prepare_locate(
    images: Tensor, spec: LocateSpec, windows: Tensor | None = None, turn: Tensor | None = None
) -> Tensor:
    """Input of stage 1: whole slices (or windows of a second look) -> float32 (N, 1, size, size)."""
    windows = whole_windows(images) if windows is None else windows
    return normalise(sample(images, windows, spec.size, turn), spec.normalise)


def prepare_segment(images: Tensor, windows: Tensor, spec: SegmentSpec, turn: Tensor | None = None) -> Tensor:
    """Input of stage 2: images (N, 1, rows, columns) and windows (N, 3) -> float32 (N, 1, size, size)."""
    return normalise(sample(images, windows, spec.size, turn), spec.normalise)


def normalise(crops: Tensor, how: Normalise) -> Tensor:
    """Bring each crop (N, 1, size, size) to the network's intensities, each by itself.

    A slice asked alone and the same slice in its series give the same numbers.
    """
    thin = crops[:, 0, ::STATISTICS_STRIDE, ::STATISTICS_STRIDE].flatten(1)
    low, high = _percentiles(thin, how)
    clipped = torch.minimum(torch.maximum(crops, low[:, None, None, None]), high[:, None, None, None])
    if how.kind == "percentile":
        spread = (high - low).clamp_min(SMALLEST_SPREAD)[:, None, None, None]
        return (clipped - low[:, None, None, None]) / spread
    mean = clipped.mean(dim=(1, 2, 3), keepdim=True)
    spread = clipped.std(dim=(1, 2, 3), keepdim=True).clamp_min(SMALLEST_SPREAD)
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
