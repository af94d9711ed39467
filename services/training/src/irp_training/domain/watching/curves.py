"""Figures of an epoch: Dice with its interval over patients."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from irp_bundle import ratio_over_patients

from irp_training.domain.watching.validation import Counted

ROUNDS = 500  # resamples per point: many points, and a curve needs no third digit
ENDS = ("low", "high")


def dice_figures(counted: Counted) -> dict[str, float]:
    """`val_dice_<structure>`, and `..._low` and `..._high` where at least two patients judge it."""
    return with_bands({f"val_dice_{name}": parts for name, parts in counted.items()})


def with_bands(curves: Mapping[str, Mapping[str, tuple[float, float]]]) -> dict[str, float]:
    """Ratios of sums over patients, each with the ends of its interval where there are two patients at least.

    Args:
        curves: name -> patient -> (upper, lower).
    """
    found: dict[str, float] = {}
    for name, parts in curves.items():
        interval = ratio_over_patients(parts, rounds=ROUNDS)
        values = (("", interval.mean), ("_low", interval.low), ("_high", interval.high))
        found |= {f"{name}{end}": value for end, value in values if isfinite(value)}
    return found
