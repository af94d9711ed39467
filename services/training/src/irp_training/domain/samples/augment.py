"""Light augmentation: hearts lie differently, are scaled and lit differently, and boxes are never perfect.

Every random number comes from a generator that is made from (seed, stage, round, place): a run that is resumed draws
the same numbers as one that never stopped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

TURN = 0.5  # radians, beside quarter turns and mirrors, which make the nets indifferent to how a site stores rows
SHIFT = 0.18  # of the box
SCALE = 0.25  # natural logarithm
STRETCH = 0.08  # natural logarithm; the ratio of the sides changes by twice as much
SLIP = 0.03  # of the box, standard deviation: breath-holds differ from slice to slice
GAMMA = 0.5  # natural logarithm
FIELD = 0.3  # natural logarithm per term of the bias field
NOISE = 0.15  # standard deviations of the normalised crop
NOISE_SHARE, BLUR_SHARE = 0.3, 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far examples are changed.

    Attributes:
        strength: of everything below and of what has no number of its own; 1 = as designed, 0 = none.
        stretch: natural logarithm by which one direction grows and the other shrinks, at most.
        upright: share of examples that are neither mirrored nor turned by quarters.
    """

    strength: float = 1.0
    stretch: float = STRETCH
    upright: float = 0.0


NONE = Augmentation(strength=0.0)


def jitter(window: Tensor, reach: float, generator: np.random.Generator, strength: float) -> Tensor:
    """A window near another: what an imperfect first stage would have cut.

    Args:
        window: (1, 3): row, column, side in pixels.
        reach: pixels; the shift is a share of it.
        generator: of this example in this round.
        strength: 1 = as designed, 0 = none.
    """
    row, column = generator.uniform(-SHIFT, SHIFT, 2) * strength * reach
    scale = math.exp(generator.uniform(-SCALE, SCALE) * strength)
    moved = window + torch.tensor([[row, column, 0.0]], dtype=window.dtype)
    return moved * torch.tensor([[1.0, 1.0, scale]], dtype=window.dtype)


def slip(windows: Tensor, reach: float, generator: np.random.Generator, strength: float) -> Tensor:
    """Every slice of a stack (slice, 4) a little beside its neighbours; `reach` in pixels as in `jitter`."""
    moved = torch.from_numpy(generator.normal(0, SLIP, (len(windows), 2)) * strength * reach).to(windows.dtype)
    return windows + functional.pad(moved, (0, 2))


def turn(generator: np.random.Generator, how: Augmentation) -> Tensor:
    """Rotation, mirror and stretching: (1, 2, 2), offsets (row, column) in the crop -> in the image."""
    quarters, angle = int(generator.integers(4)), generator.uniform(-TURN, TURN) * how.strength
    stretch = math.exp(generator.uniform(-how.stretch, how.stretch) * how.strength)
    mirror = float(generator.choice((-1.0, 1.0)))
    if how.upright and generator.random() < how.upright:
        quarters, mirror = 0, 1.0
    angle += math.pi / 2 * quarters
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return torch.from_numpy(rotation @ np.diag([stretch, mirror / stretch]))[None].float()


def relight(crop: Tensor, generator: np.random.Generator, strength: float) -> Tensor:
    """Another gamma, sometimes a smooth bias field: (1, 1, size, size) from 0 up -> the same, from 0 to about 1."""
    lit: Tensor = (crop / crop.max().clamp_min(1e-6)) ** math.exp(generator.uniform(-GAMMA, GAMMA) * strength)
    if generator.random() < 0.5:
        lit = lit * _bias_field(crop.shape[-1], generator.uniform(-FIELD, FIELD, 5) * strength)
    return lit


def roughen(crop: Tensor, generator: np.random.Generator, strength: float) -> Tensor:
    """Sometimes noise, sometimes a coarser resolution: on the normalised crop (1, 1, size, size)."""
    if generator.random() < NOISE_SHARE * strength:
        noise = torch.from_numpy(generator.standard_normal(tuple(crop.shape), dtype=np.float32))
        crop = crop + noise * float(generator.uniform(0, NOISE))
    if generator.random() < BLUR_SHARE * strength:
        coarse = functional.avg_pool2d(crop, int(generator.integers(2, 4)))
        crop = functional.interpolate(coarse, size=crop.shape[-1], mode="bilinear")
    return crop


def _bias_field(size: int, terms: NDArray[np.float64]) -> Tensor:
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    a, b, c, d, e = (float(term) for term in terms)
    return torch.exp(a * x + b * y + c * x * y + d * x**2 + e * y**2)
