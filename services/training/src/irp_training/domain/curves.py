"""Points of curves: Dice of an epoch with its interval over patients."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from irp_bundle import ratio_over_patients

from irp_training.domain.run import Metric

ROUNDS = 500  # resamples per point: many points, and a curve needs no third digit
ENDS = ("low", "high")


def dice_points(epoch: int, found: Mapping[str, Mapping[str, tuple[float, float]]]) -> list[Metric]:
    """`val_dice_<structure>`, and `..._low` and `..._high` where at least two patients judge it.

    Args:
        epoch: counts through both stages from 1.
        found: structure -> patient -> (twice the pixels in common, all pixels).
    """
    points = []
    for name, parts in found.items():
        interval = ratio_over_patients(parts, rounds=ROUNDS)
        values = (("", interval.mean), ("_low", interval.low), ("_high", interval.high))
        points += [Metric(epoch, f"val_dice_{name}{end}", value) for end, value in values if isfinite(value)]
    return points
