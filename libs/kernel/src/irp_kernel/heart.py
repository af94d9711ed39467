"""Names of the left ventricle's segments.

Source: Cerqueira et al., Circulation 105:539-542, 2002 (AHA 17-segment model).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Ring = Literal["basal", "mid", "apical", "apex"]

SEGMENTS_PER_RING: dict[Ring, int] = {"basal": 6, "mid": 6, "apical": 4, "apex": 1}

_SIX = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
_FOUR = ("anterior", "septal", "inferior", "lateral")


@dataclass(frozen=True, slots=True)
class AhaSegment:
    """One of the 17 segments: number 1 to 17, ring and wall."""

    number: int
    ring: Ring
    wall: str

    @property
    def name(self) -> str:
        """For example "mid anterior" (segment 7)."""
        return f"{self.ring} {self.wall}".strip() if self.ring != "apex" else "apex"


def _all_segments() -> tuple[AhaSegment, ...]:
    rings: list[tuple[Ring, tuple[str, ...]]] = [("basal", _SIX), ("mid", _SIX), ("apical", _FOUR), ("apex", ("",))]
    named = [(ring, wall) for ring, walls in rings for wall in walls]
    return tuple(AhaSegment(number, ring, wall) for number, (ring, wall) in enumerate(named, start=1))


AHA_SEGMENTS: tuple[AhaSegment, ...] = _all_segments()


def aha_segment(number: int) -> AhaSegment:
    """The segment with a number from 1 to 17."""
    return AHA_SEGMENTS[number - 1]
