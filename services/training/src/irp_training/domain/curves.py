"""Figures of an epoch: Dice with its interval over patients."""

from __future__ import annotations

from math import isfinite

from irp_bundle import ratio_over_patients

from irp_training.domain.validation import Counted

ROUNDS = 500  # resamples per point: many points, and a curve needs no third digit
ENDS = ("low", "high")


def dice_figures(counted: Counted) -> dict[str, float]:
    """`val_dice_<structure>`, and `..._low` and `..._high` where at least two patients judge it."""
    found: dict[str, float] = {}
    for name, parts in counted.items():
        interval = ratio_over_patients(parts, rounds=ROUNDS)
        values = (("", interval.mean), ("_low", interval.low), ("_high", interval.high))
        found |= {f"val_dice_{name}{end}": value for end, value in values if isfinite(value)}
    return found
