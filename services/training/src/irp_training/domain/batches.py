"""Which slices a step learns from: decided by (seed, stage, pass, place) alone, whoever draws them and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from irp_training.domain.examples import Example
from irp_training.domain.ranks import Ranks, share
from irp_training.domain.recipe import STAGES, Recipe
from irp_training.domain.stages import Sample, Stage


class Batches:
    """Consecutive places in an endless row of shuffled passes over the examples.

    Args:
        stage: that turns examples into samples.
        examples: that can teach it something.
        recipe: with seed, batch and augmentation.
        ranks: each draws its own share only.
    """

    def __init__(self, stage: Stage, examples: Sequence[Example], recipe: Recipe, ranks: Ranks) -> None:
        self._stage, self._examples, self._recipe, self._ranks = stage, examples, recipe, ranks

    @property
    def per_epoch(self) -> int:
        """Steps of a pass; small datasets repeat within one."""
        return max(self._recipe.min_steps, len(self._examples) // self._recipe.batch)

    def draw(self, step: int) -> list[Sample]:
        """Samples of the rank's share of a step, counted through all passes from 0."""
        size, count = self._recipe.batch, len(self._examples)
        places = range(step * size, (step + 1) * size)[share(self._ranks, size)]
        return [self._draw(*divmod(place, count)) for place in places]

    def _draw(self, round_: int, place: int) -> Sample:
        seed = (self._recipe.seed, STAGES.index(self._stage.name), round_)
        chosen = np.random.default_rng(seed).permutation(len(self._examples))[place]
        return self._stage.sample(
            self._examples[int(chosen)], np.random.default_rng((*seed, place)), self._recipe.augmentation
        )


def collate(samples: Sequence[Sample], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Samples -> image (N, 1, size, size), labels (N, size, size) and judged (N, structures) on the device."""
    image, labels, judged = (torch.stack(parts).to(device) for parts in zip(*samples, strict=True))
    return image, labels, judged
