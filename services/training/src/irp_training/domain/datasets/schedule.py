"""When a project learns by the clock: every so many hours, or daily at a time. Times are UTC, in seconds since 1970."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HOUR_S, DAY_S = 3600.0, 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One of the two.

    Attributes:
        every_hours: length of the interval, which begins at midnight of 1970-01-01; 0 = daily.
        daily_at: seconds after midnight.
    """

    every_hours: float = 0.0
    daily_at: float = 0.0

    @classmethod
    def from_wish(cls, wish: Mapping[str, Any]) -> Schedule | None:
        """Of `automation.train`, whose `every_hours` and `daily_at` ("HH:MM") the gateway has checked; or None."""
        if wish.get("every_hours"):
            return cls(every_hours=float(wish["every_hours"]))
        if wish.get("daily_at"):
            hours, minutes = str(wish["daily_at"]).split(":")
            return cls(daily_at=HOUR_S * int(hours) + 60.0 * int(minutes))
        return None

    @property
    def rule(self) -> str:
        """One text for one schedule, to notice that it was changed."""
        return f"every {self.every_hours:g} h" if self.every_hours else f"daily at {self.daily_at:g} s"

    def next_after(self, now: float) -> float:
        """The first moment of the schedule that is later than now: the same for everybody who asks."""
        step, first = (self.every_hours * HOUR_S, 0.0) if self.every_hours else (DAY_S, self.daily_at)
        return first + step * (math.floor((now - first) / step) + 1)
