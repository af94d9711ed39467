"""What learning costs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Of an hour of training, all processes of a run together, in the room's own unit."""

    per_hour: float = 0.0
    currency: str = ""

    def of(self, spent_s: float) -> float:
        """What so many seconds cost."""
        return spent_s / 3600 * self.per_hour


FREE = Price()
