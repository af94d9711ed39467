"""A median and how sure it is."""

from __future__ import annotations

import math
import statistics
from typing import TypedDict

LEVEL = 0.9


class Spread(TypedDict):
    """Median of some rounds, and an interval that holds the true median with at least `level`, if rounds are alike."""

    median: float
    low: float
    high: float
    level: float


def spread(values: list[float]) -> Spread:
    """By ranks: the innermost pair of ordered values that is sure enough, or the outermost if none is.

    Source: order statistics of the binomial distribution (Conover, Practical Nonparametric Statistics, 3.2).
    """
    ordered, count = sorted(values), len(values)
    cut = max((k for k in range((count + 1) // 2) if _level(count, k) >= LEVEL), default=0)
    return {
        "median": round(statistics.median(ordered), 4),
        "low": round(ordered[cut], 4),
        "high": round(ordered[count - 1 - cut], 4),
        "level": round(_level(count, cut), 4),
    }


def _level(count: int, cut: int) -> float:
    """Probability that the median lies between the values of rank `cut` from below and from above."""
    return 1.0 - 2.0 * sum(math.comb(count, k) for k in range(cut + 1)) / 2.0**count
