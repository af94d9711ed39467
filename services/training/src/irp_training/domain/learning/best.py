"""The best pass so far: where a run may end early, its weights are what is kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

Weights = dict[str, Tensor]


class Best:
    """The pass with the highest mean validation Dice, with its weights.

    Attributes:
        epoch: its number within the stage, from 1; 0 = nothing was judged yet.
        dice: mean over structures.
        weights: of that pass; None while there is none.
    """

    def __init__(self) -> None:
        self.epoch, self.dice = 0, -math.inf
        self.weights: Weights | None = None

    def see(self, epoch: int, scores: Mapping[str, float], weights: Weights) -> None:
        """Look at a pass; of two that are equal the earlier stays."""
        mean = sum(scores.values()) / len(scores) if scores else -math.inf
        if mean > self.dice:
            self.epoch, self.dice, self.weights = epoch, mean, weights

    def waited(self, epoch: int) -> int:
        """Passes since it; 0 while nothing was judged, for then nothing can get worse either."""
        return epoch - self.epoch if self.epoch else 0

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"epoch": self.epoch, "dice": self.dice, "weights": self.weights}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.epoch, self.dice, self.weights = int(state["epoch"]), float(state["dice"]), state["weights"]
