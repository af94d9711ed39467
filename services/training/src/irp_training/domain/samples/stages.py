"""The two lessons: locate the left ventricle on the whole slice, segment inside the window around it.

Both turn an example into (image, labels, judged) for the partial loss. Windows and normalisation are irp_bundle's, the
same as in inference; only training shifts, turns and relights.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from irp_bundle import (
    LocateSpec,
    Normalise,
    SegmentSpec,
    normalise,
    sample,
    sample_labels,
    whole_windows,
)
from torch import Tensor

from irp_training.domain.samples.augment import Augmentation, jitter, relight, roughen, turn
from irp_training.domain.samples.examples import Example

ZOOM_IN, ZOOM_OUT = 0.35, 0.8  # natural logarithm of the side of the whole slice
SECOND_LOOK_SHARE = 0.4  # of the examples of stage 1 are windows of its second look

# Image (1, size, size), labels (size, size) int64, judged (structures,); of a stack each has one axis more, of planes:
# image (1, plane, size, size), labels (plane, size, size), judged (plane, structures).
Sample = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Warp:
    """Which part of a slice is looked at, and how it is turned: see `irp_bundle.sample`."""

    window: Tensor
    turn: Tensor | None = None

    def cut(self, size: int) -> tuple[Tensor, int, Tensor | None]:
        """What sampling an image and its labels take alike, for a crop of `size` pixels per side."""
        return self.window, size, self.turn


class Stage(Protocol):
    """What the trainer needs of a lesson."""

    @property
    def name(self) -> str:
        """Either "locate" or "segment"."""
        ...

    @property
    def structures(self) -> tuple[str, ...]:
        """Names of the channels after the background."""
        ...

    @property
    def unit(self) -> str:
        """What a step has so many of: "slices" or "patches"."""
        ...

    def usable(self, examples: Sequence[Example]) -> list[Example]:
        """Those that can teach something."""
        ...

    def sample(self, example: Example, generator: np.random.Generator | None, how: Augmentation) -> Sample:
        """What the net sees; without a generator, exactly what it would see in inference."""
        ...

    def pixel_mm(self, example: Example) -> tuple[float, float]:
        """(row, column), size of a pixel of what the net sees in inference."""
        ...


@dataclass(frozen=True, slots=True)
class Segment:
    """Net 2: structures inside the window around the left ventricle."""

    structures: tuple[str, ...]
    spec: SegmentSpec
    margin: float  # side of the window over size of the box
    name: str = "segment"
    unit: str = "slices"

    def usable(self, examples: Sequence[Example]) -> list[Example]:
        """Slices of series in which the left ventricle was drawn."""
        return [example for example in examples if float(example.box[0, 2]) > 0]

    def sample(self, example: Example, generator: np.random.Generator | None, how: Augmentation) -> Sample:
        """See Stage.sample."""
        window = example.box * torch.tensor([[1.0, 1.0, self.margin]])
        warp = Warp(window)
        if generator is not None:
            warp = _disturb(window, float(example.box[0, 2]), generator, how)
        image = _see(sample(example.image, *warp.cut(self.spec.size)), self.spec.normalise, generator, how)
        return image, sample_labels(example.labels, *warp.cut(self.spec.size))[0], example.judged

    def pixel_mm(self, example: Example) -> tuple[float, float]:
        """See Stage.pixel_mm."""
        return _pixel_mm(example, float(example.box[0, 2]) * self.margin / self.spec.size)


@dataclass(frozen=True, slots=True)
class Locate:
    """Net 1: the left ventricle, pool and wall as one, on the whole slice and on its own second look."""

    spec: LocateSpec
    name: str = "locate"
    structures: tuple[str, ...] = ("left_ventricle",)
    unit: str = "slices"

    def usable(self, examples: Sequence[Example]) -> list[Example]:
        """Slices on which the whole left ventricle was judged; half of it would teach a wrong box."""
        return [example for example in examples if example.whole]

    def sample(self, example: Example, generator: np.random.Generator | None, how: Augmentation) -> Sample:
        """See Stage.sample."""
        warp = Warp(whole_windows(example.image))
        if generator is not None:
            warp = self._disturbed(example, warp.window, generator, how)
        image = _see(sample(example.image, *warp.cut(self.spec.size)), self.spec.normalise, generator, how)
        ventricle = sample_labels(example.ventricle, *warp.cut(self.spec.size))[0]
        return image, ventricle, torch.ones(1, dtype=torch.bool)

    def pixel_mm(self, example: Example) -> tuple[float, float]:
        """See Stage.pixel_mm."""
        return _pixel_mm(example, float(whole_windows(example.image)[0, 2]) / self.spec.size)

    def _disturbed(self, example: Example, whole: Tensor, generator: np.random.Generator, how: Augmentation) -> Warp:
        size = float(example.box[0, 2])
        if size > 0 and self.spec.look_again and generator.random() < SECOND_LOOK_SHARE:
            window = example.box * torch.tensor([[1.0, 1.0, self.spec.look_again]])
            return _disturb(window, 2 * size, generator, how)
        # A field of view twice as large, or cut close around the heart, holds the same heart.
        zoom = math.exp(generator.uniform(-ZOOM_IN, ZOOM_OUT) * how.strength)
        window = whole * torch.tensor([[1.0, 1.0, zoom]])
        return _disturb(window, float(whole[0, 2]), generator, how)


def _pixel_mm(example: Example, pixels: float) -> tuple[float, float]:
    """Of a crop each of whose pixels is so many of the image's along each side."""
    row_mm, column_mm = example.pixel_mm
    return pixels * row_mm, pixels * column_mm


def _disturb(window: Tensor, reach: float, generator: np.random.Generator, how: Augmentation) -> Warp:
    if how.strength <= 0:
        return Warp(window)
    return Warp(jitter(window, reach, generator, how.strength), turn(generator, how))


def _see(crop: Tensor, scale: Normalise, generator: np.random.Generator | None, how: Augmentation) -> Tensor:
    if generator is None or how.strength <= 0:
        return normalise(crop, scale)[0]
    return roughen(normalise(relight(crop, generator, how.strength), scale), generator, how.strength)[0]
