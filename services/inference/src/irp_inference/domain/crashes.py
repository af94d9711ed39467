"""What becomes of a model whose process ends again and again: it rests, and then it is parked. Pure."""

from __future__ import annotations

from collections import deque

CRASHES, WITHIN_S = 3, 600.0  # so many in so long: the model is parked until somebody loads it again
RESTS_S = (
    0.0,
    0.5,
)  # before it is begun again, after the first and the second crash: who was beside it is answered soon


class Crashes:
    """The latest crashes of one model. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._times: deque[float] = deque(maxlen=CRASHES)

    def add(self, now: float) -> bool:
        """Its process ended; True if the model is parked by that, and was not before."""
        before = self.parked
        self._times.append(now)
        return self.parked and not before

    @property
    def parked(self) -> bool:
        """True if it crashed too often in too short a time."""
        return len(self._times) == CRASHES and self._times[-1] - self._times[0] < WITHIN_S

    def rest_s(self, now: float) -> float:
        """How long to wait before its process is begun again."""
        lately = sum(now - time < WITHIN_S for time in self._times)
        return max(0.0, self._times[-1] + RESTS_S[min(lately, len(RESTS_S)) - 1] - now) if lately else 0.0
