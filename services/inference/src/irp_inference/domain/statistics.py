"""What each network has done since it was loaded: the counts of the Open Inference Protocol's ModelStatistics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """How often, and how long together."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float, times: int = 1) -> None:
        """Once more (or several times with the same duration each)."""
        self.count += times
        self.ns += round(seconds * 1e9) * times


@dataclass(slots=True)
class NetStatistics:
    """One network of one version.

    Attributes:
        success: requests that were answered, from arrival to answer.
        fail: requests that were not.
        queue: waiting of those that were computed.
        compute: passes, counted once per request in them.
        batches: passes by their number of inputs.
        inferences: inputs that were answered.
        executions: passes.
        last_s: when the last pass ended, seconds since the epoch.
    """

    success: Tally = field(default_factory=Tally)
    fail: Tally = field(default_factory=Tally)
    queue: Tally = field(default_factory=Tally)
    compute: Tally = field(default_factory=Tally)
    batches: defaultdict[int, Tally] = field(default_factory=lambda: defaultdict(Tally))
    inferences: int = 0
    executions: int = 0
    last_s: float = 0.0
