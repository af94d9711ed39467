"""How far the gate's measuring is, and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable

from irp_training.domain.run import Progress


class Measuring:
    """Hears how many series are measured; each is a step, and so is, at the end, the timing of both models.

    Args:
        clock: monotonic seconds.

    Attributes:
        progress: as it is now; the seconds left are known once there is a pace.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._first_at = clock, 0.0
        self.progress = Progress(step="measuring beside the champion")

    def __call__(self, done: int, of: int) -> None:
        """So many series of so many are measured."""
        if done <= 1:
            self._first_at = self._clock()  # before it, models were loaded, which is not the pace
        steps, passed = of + 1, self._clock() - self._first_at
        left = passed / (done - 1) * (steps - done) if done > 1 else Progress().eta_s
        step = f"measured beside the champion: {done} of {of} series"
        self.progress = Progress(fraction=done / steps, eta_s=left, step=step)
