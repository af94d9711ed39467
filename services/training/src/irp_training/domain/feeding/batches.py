"""Which slices a step learns from: decided by (seed, stage, pass, place) alone, whoever draws them and when."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from irp_training.domain.datasets.replay import replayed
from irp_training.domain.feeding.ranks import Ranks, share
from irp_training.domain.recipes.recipe import STAGES, Recipe
from irp_training.domain.samples.examples import Example
from irp_training.domain.samples.stages import Sample, Stage

REPLAY = 1  # the row of old examples is another than that of new ones


class Batches:
    """Consecutive places in an endless row of shuffled passes over the examples.

    Args:
        stage: that turns examples into samples.
        examples: that can teach it something.
        recipe: with seed, batch and augmentation.
        ranks: each draws its own share only.
        old: what is replayed: the last places of each batch, `Recipe.replay` of it, are theirs.
    """

    def __init__(
        self, stage: Stage, examples: Sequence[Example], recipe: Recipe, ranks: Ranks, old: Sequence[Example] = ()
    ) -> None:
        self._stage, self._examples, self._recipe, self._ranks, self._old = stage, examples, recipe, ranks, old

    @property
    def per_epoch(self) -> int:
        """Steps in which each new slice is seen once; small datasets repeat within a pass."""
        return max(self._recipe.min_steps, len(self._examples) // (self._recipe.batch - self._replayed))

    @property
    def _replayed(self) -> int:
        return replayed(self._recipe.batch, self._recipe.replay) if self._old else 0

    def draw(self, step: int) -> list[Sample]:
        """Samples of the rank's share of a step, counted through all passes from 0."""
        size = self._recipe.batch
        old = self._replayed
        new = size - old
        return [
            self._draw(self._examples, step * new + place)
            if place < new
            else self._draw(self._old, step * old + place - new, REPLAY)
            for place in range(size)[share(self._ranks, size)]
        ]

    def _draw(self, examples: Sequence[Example], place: int, *salt: int) -> Sample:
        round_, place = divmod(place, len(examples))
        seed = (self._recipe.seed, STAGES.index(self._stage.name), round_)
        chosen = np.random.default_rng((*seed, *salt)).permutation(len(examples))[place]
        generator = np.random.default_rng((*seed, place, *salt))
        return self._stage.sample(examples[int(chosen)], generator, self._recipe.augmentation)


def collate(samples: Sequence[Sample], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Samples -> image (N, 1, size, size), labels (N, size, size) and judged (N, structures) on the device."""
    image, labels, judged = (torch.stack(parts).to(device) for parts in zip(*samples, strict=True))
    return image, labels, judged
