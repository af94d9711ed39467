"""Steps that change an image's values, not its grid: MONAI's ScaleIntensity, ScaleIntensityRange, NormalizeIntensity.

They are functions of the whole image, so that a slice asked alone is what it is in its series.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from irp_bundle.errors import PipelineNotValid
from irp_bundle.plain import flag, number

MOST = 1e6


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
        if self.b_min is None or self.b_max is None:
            return share
        moved = share * (self.b_max - self.b_min) + self.b_min
        return moved.clamp(self.b_min, self.b_max) if self.clip else moved


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
