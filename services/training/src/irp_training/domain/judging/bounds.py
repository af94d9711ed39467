"""What a candidate must keep to, as its recipe says it."""

from __future__ import annotations

from dataclasses import dataclass

from irp_training.domain.judging.gate import Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a candidate must keep to; the keys of a recipe with these names say it.

    Attributes:
        margin: Dice that a structure may lose on average.
        way: how that is shown, see `gate`.
        subgroup_margin: Dice that a structure may lose on average on a subgroup; 0 = no bound.
        calibration_margin: by how much the expected calibration error may rise; 0 = no bound.
        latency_ratio: how many times the champion's seconds per slice it may take; 0 = no bound.
    """

    margin: float = 0.01
    way: Way = "auto"
    subgroup_margin: float = 0.03
    calibration_margin: float = 0.02
    latency_ratio: float = 2.0
