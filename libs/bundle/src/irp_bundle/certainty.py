"""How sure stage 2 is, per pixel and per slice."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

MOST = 255  # of uncertainty: every channel is as likely


def entropy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Entropy over the channels as a share of the greatest possible, times 255: (N, C, *size) -> (N, 1, *size)."""
    logarithms = np.log(np.maximum(probabilities, np.float32(1e-12)))
    found = -(probabilities * logarithms).sum(axis=1, keepdims=True, dtype=np.float32)
    return np.asarray(found * np.float32(MOST / math.log(probabilities.shape[1])), dtype=np.float32)


def strongest(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probability of the strongest channel, times 255: (N, C, *size) -> (N, 1, *size)."""
    return np.asarray(probabilities.max(axis=1, keepdims=True) * np.float32(MOST))


class SoftDice:
    """Dice that probabilities themselves expect of their own strongest channel; slices count together.

    Per channel 2 sum(p m) / (sum(p) + sum(m)), where p is its probability and m is 1 where it is the strongest.
    Source: Borges, Pacheco, Silva, "Soft Dice Confidence", arXiv:2402.10665.
    """

    def __init__(self) -> None:
        self._sums: NDArray[np.float64] | None = None  # (p m, p, m) by channel

    def add(self, probabilities: NDArray[np.float32]) -> None:
        """Some slices: (N, channels, *size)."""
        strongest = probabilities.argmax(axis=1)
        rows = []
        for channel in range(probabilities.shape[1]):
            p, m = probabilities[:, channel], strongest == channel
            rows.append((p[m].sum(dtype=np.float64), p.sum(dtype=np.float64), m.sum()))
        self._sums = np.asarray(rows) + (0 if self._sums is None else self._sums)

    def of(self, places: Mapping[str, int]) -> dict[str, float]:
        """By structure, from its channel; structures that are nowhere the strongest are left out."""
        if self._sums is None:
            return {}
        sums = {name: self._sums[channel] for name, channel in places.items()}
        return {name: float(2 * pm / (p + m)) for name, (pm, p, m) in sums.items() if m}
