"""How far two engines' answers are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def nearest(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """The largest difference of a row from what the same row gave in whichever way comes nearest.

    Args:
        found: (N, channels, *size).
        expected: the same, or (ways, N, channels, *size) where it was asked in several ways.
    """
    ways = expected.reshape(-1, *found.shape)
    return max(min(difference(row, way[at]) for way in ways) for at, row in enumerate(found))


def difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest difference of logits over the largest magnitude that was expected, or over 1 where that is less."""
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
