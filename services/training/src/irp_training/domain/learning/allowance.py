"""What a run spends on being watched and on being able to go on is a share of its time: in short passes it waits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator


class Allowance:
    """Time that may go into something beside learning; what is not spent is saved.

    Args:
        share: of all time, 0 to 1.
        clock: seconds, monotonic.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._share, self._clock, self._began_s, self._spent_s = share, clock, clock(), 0.0

    @property
    def paid(self) -> bool:
        """Everything so far is paid for: the first time always, for nobody knows yet what it costs."""
        return self._spent_s <= self._share * (self._clock() - self._began_s)

    @contextlib.contextmanager
    def spending(self) -> Iterator[None]:
        """What is done here counts."""
        began_s = self._clock()
        try:
            yield
        finally:
            self._spent_s += self._clock() - began_s
