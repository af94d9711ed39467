"""How far two engines' answers are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def difference(found: NDArray[np.float32], expected: NDArray[np.float32]) -> float:
    """Largest difference of logits over the largest magnitude that was expected, or over 1 where that is less."""
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))
