"""Light augmentation: hearts lie differently, are scaled and lit differently, and boxes are never perfect.

Every random number comes from a generator that is made from (seed, stage, epoch, place in the epoch): a run that is
resumed draws the same numbers as one that never stopped.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from irp_training.domain.sampling import Window

TURN = 0.5  # radians, beside quarter turns and mirrors, which make the nets indifferent to how a site stores rows
SHIFT = 0.20  # of the box
SCALE = 0.25  # natural logarithm
GAMMA = 0.5  # natural logarithm
FIELD = 0.3  # natural logarithm per term of the bias field
NOISE = 0.15  # standard deviations of the normalised crop
BLUR_SHARE = 0.15


def jitter(box: Window, generator: np.random.Generator, strength: float) -> Window:
    """A window near a box: what an imperfect first stage would have cut, turned and mirrored."""
    if strength <= 0:
        return box
    shift, scale, turn = SHIFT * strength, SCALE * strength, TURN * strength
    quarter = math.pi / 2 * int(generator.integers(4))
    return Window(
        row=box.row + box.side * generator.uniform(-shift, shift),
        column=box.column + box.side * generator.uniform(-shift, shift),
        side=box.side * math.exp(generator.uniform(-scale, scale)),
        angle=quarter + generator.uniform(-turn, turn),
        mirror=float(generator.choice((-1.0, 1.0))),
    )


def relight(image: Tensor, generator: np.random.Generator, strength: float) -> Tensor:
    """Another gamma, sometimes a smooth bias field: (row, column) -> the same shape, any scale."""
    if strength <= 0:
        return image
    low, high = image.min(), image.max()
    lit: Tensor = ((image - low) / (high - low + 1e-6)) ** math.exp(generator.uniform(-GAMMA, GAMMA) * strength)
    if generator.random() < 0.5:
        lit = lit * _bias_field(lit.shape[-1], generator.uniform(-FIELD, FIELD, 5) * strength)
    return lit


def roughen(image: Tensor, generator: np.random.Generator, strength: float) -> Tensor:
    """Sometimes noise, sometimes a coarser resolution: on the normalised crop (row, column)."""
    if generator.random() < 0.3 * strength:
        noise = generator.standard_normal(tuple(image.shape), dtype=np.float32)
        image = image + torch.from_numpy(noise) * float(generator.uniform(0, NOISE))
    if generator.random() < BLUR_SHARE * strength:
        coarse = functional.avg_pool2d(image[None, None], int(generator.integers(2, 4)))
        image = functional.interpolate(coarse, size=tuple(image.shape), mode="bilinear")[0, 0]
    return image


def _bias_field(size: int, terms: np.ndarray) -> Tensor:
    axis = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    a, b, c, d, e = (float(term) for term in terms)
    return torch.exp(a * x + b * y + c * x * y + d * x**2 + e * y**2)
