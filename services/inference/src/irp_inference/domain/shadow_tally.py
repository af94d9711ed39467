"""How a shadow's answers compare with those that were given; numbers only, nothing of the images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import isnan

import numpy as np
from irp_bundle import Segmented, dice


@dataclass(slots=True)
class StructureTally:
    """Dice between the two answers, over answers in which either found the structure."""

    answers: int = 0
    sum_dice: float = 0.0
    least_dice: float = 1.0

    @property
    def mean_dice(self) -> float:
        """NaN if there was none."""
        return self.sum_dice / self.answers if self.answers else float("nan")


@dataclass(slots=True)
class PairTally:
    """One served version and one shadow."""

    answers: int = 0
    failures: int = 0
    structures: defaultdict[str, StructureTally] = field(default_factory=lambda: defaultdict(StructureTally))

    def add(self, dice: dict[str, float]) -> None:
        """One more pair of answers."""
        self.answers += 1
        for name, value in dice.items():
            tally = self.structures[name]
            tally.answers += 1
            tally.sum_dice += value
            tally.least_dice = min(tally.least_dice, value)


def agreement(served: Segmented, shadow: Segmented) -> dict[str, float]:
    """Dice per structure that either answer holds; a structure that one of them does not know counts as empty."""
    found: dict[str, float] = {}
    for name in sorted({*served.table.names, *shadow.table.names}):
        value = dice(_region(shadow, name), _region(served, name))
        if not isnan(value):
            found[name] = value
    return found


def _region(answer: Segmented, name: str) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    values = dict(zip(answer.table.names, answer.table.values, strict=True))
    return answer.labels == values[name] if name in values else np.zeros(answer.labels.shape, np.bool_)
