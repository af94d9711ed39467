"""Steps that change an image's values and not its grid: MONAI's ScaleIntensity and kin, and NormalizeIntensity.

They are functions of the whole image, so that a slice asked alone is what it is in its series.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from irp_bundle.errors import PipelineNotValid
from irp_bundle.plain import flag, number

MOST = 1e6
QUANTILES = 1_000_000  # voxels


@dataclass(frozen=True, slots=True, kw_only=True)
class MinMax:
    """The least value becomes `low`, the greatest `high`."""

    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        number(self.low, "minmax.low", -MOST, MOST)
        number(self.high, "minmax.high", -MOST, MOST)

    def scaled(self, image: Tensor) -> Tensor:
        """float32 -> the same shape."""
        least, greatest = image.amin(), image.amax()
        if least == greatest:
            return image * self.low
        share = (image - least) / (greatest - least)
        return share * (self.high - self.low) + self.low


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The value `a_min` becomes `b_min`, `a_max` becomes `b_max`; beyond them values go on, or are clipped there.

    Without `b_min` and `b_max`, 0 and 1 are meant, and nothing is clipped.
    """

    a_min: float
    a_max: float
    b_min: float | None = None
    b_max: float | None = None
    clip: bool = False

    def __post_init__(self) -> None:
        ends = [number(end, "range", -MOST, MOST) for end in (self.a_min, self.a_max)]
        if ends[0] >= ends[1] or (self.b_min is None) != (self.b_max is None):
            raise PipelineNotValid(
                "`range` rises from `a_min` to `a_max`, and has both of `b_min` and `b_max`, or neither"
            )
        for end in (self.b_min, self.b_max):
            number(0.0 if end is None else end, "range", -MOST, MOST)
        flag(self.clip, "range.clip")

    def scaled(self, image: Tensor) -> Tensor:
        """float32 -> the same shape."""
        share = (image - self.a_min) / (self.a_max - self.a_min)
        return _between(share, self.b_min, self.b_max, self.clip)


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """As Range, from the percentile `lower` of all voxels to `upper`.

    With `relative`, the same shares of the way from `b_min` to `b_max` are meant: with 10 and 90, 0 and 1, they become
    0.1 and 0.9.
    """

    lower: float
    upper: float
    b_min: float | None = None
    b_max: float | None = None
    clip: bool = False
    relative: bool = False

    def __post_init__(self) -> None:
        low, high = (number(end, "percentiles", 0, 100) for end in (self.lower, self.upper))
        if low >= high or (self.b_min is None) != (self.b_max is None) or (self.relative and self.b_min is None):
            raise PipelineNotValid("`percentiles` rise, and have both of `b_min` and `b_max`, or neither")
        for end in (self.b_min, self.b_max):
            number(0.0 if end is None else end, "percentiles", -MOST, MOST)
        flag(self.clip, "percentiles.clip")
        flag(self.relative, "percentiles.relative")

    def scaled(self, image: Tensor) -> Tensor:
        """float32 -> the same shape."""
        low, high = (_percentile(image, end) for end in (self.lower, self.upper))
        if low == high:
            return image - low + (self._at(self.lower) or 0.0)
        return _between((image - low) / (high - low), self._at(self.lower), self._at(self.upper), self.clip)

    def _at(self, percent: float) -> float | None:
        """What a percentile becomes."""
        if self.b_min is None or self.b_max is None:
            return None
        if self.relative:
            return (self.b_max - self.b_min) * (percent / 100.0) + self.b_min
        return self.b_min if percent == self.lower else self.b_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """Less the mean, by the standard deviation; with `nonzero` zeros stay, and do not count."""

    nonzero: bool = False

    def __post_init__(self) -> None:
        flag(self.nonzero, "standard.nonzero")

    def scaled(self, image: Tensor) -> Tensor:
        """float32 -> the same shape."""
        counted = image != 0
        if self.nonzero and not bool(counted.any()):
            return image
        values = image[counted] if self.nonzero else image
        mean, spread = values.mean(), values.std(correction=0)
        moved = (image - mean) / (spread if spread > 0 else 1.0)
        return moved.where(counted, image) if self.nonzero else moved


def _between(share: Tensor, low: float | None, high: float | None, clip: bool) -> Tensor:
    """0 becomes `low`, 1 becomes `high`; as it is where they are not said."""
    if low is None or high is None:
        return share
    moved = share * (high - low) + low
    return moved.clamp(low, high) if clip else moved


def _percentile(image: Tensor, percent: float) -> Tensor:
    """Of all voxels, between two of them in proportion; by numpy where torch's `quantile` takes no more."""
    if image.numel() > QUANTILES:
        return torch.tensor(float(np.percentile(image.numpy(), percent)), dtype=torch.float32)
    return torch.quantile(image, torch.tensor(percent / 100.0, dtype=torch.float32))
