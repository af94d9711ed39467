"""What a candidate must keep to: the installation's bounds, which a recipe may tighten and never loosen."""

from __future__ import annotations

from dataclasses import dataclass

from irp_training.domain.judging.gate import Way

BY_STRICTNESS: tuple[Way, ...] = ("mean", "auto", "bootstrap")  # what passes the later passes the earlier


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

    def tightened(self, asked: Bounds) -> Bounds:
        """These, and what is asked for where it is stricter."""
        return Bounds(
            margin=min(self.margin, asked.margin),
            way=max(self.way, asked.way, key=BY_STRICTNESS.index),
            subgroup_margin=_stricter(self.subgroup_margin, asked.subgroup_margin),
            calibration_margin=_stricter(self.calibration_margin, asked.calibration_margin),
            latency_ratio=_stricter(self.latency_ratio, asked.latency_ratio),
        )

    def loosened_by(self, asked: Bounds) -> str:
        """What is asked for beyond these, said with the keys of a recipe; empty = nothing."""
        kept = self.tightened(asked)
        if kept.margin != asked.margin:
            return f"`margin` is at most {self.margin:g}"
        if kept.way != asked.way:
            return f"`gate` is one of {', '.join(BY_STRICTNESS[BY_STRICTNESS.index(self.way) :])}"
        for key in ("subgroup_margin", "calibration_margin", "latency_ratio"):
            if getattr(kept, key) != getattr(asked, key):
                return f"`{key}` is above 0 and at most {getattr(self, key):g}"
        return ""


INSTALLED = Bounds()  # where the installation says nothing else


def _stricter(one: float, other: float) -> float:
    """The smaller; 0 is no bound at all."""
    return min((bound for bound in (one, other) if bound), default=0.0)
