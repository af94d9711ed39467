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
class Visit:
    """One request from its arrival to its answer, in however many pieces and passes.

    Attributes:
        since: when it came, seconds of a monotonic clock.
        begun: when its first pass began; None = none has.
        computed_s: its passes together.
    """

    since: float
    begun: float | None = None
    computed_s: float = 0.0

    def begin(self, now: float) -> None:
        """A pass of it begins."""
        self.begun = now if self.begun is None else self.begun


@dataclass(slots=True)
class NetStatistics:
    """One network of one version. As Triton counts: requests once each, passes and inputs beside them.

    Attributes:
        success: requests that were answered, from arrival to answer.
        fail: requests that were not: refused, too late, cancelled.
        queue: of those that were answered, from arrival to their first pass.
        compute: of those that were answered, their passes; who shares a pass counts the whole of it.
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

    def answered(self, visit: Visit, now: float) -> None:
        """A request has its answer."""
        self.success.add(now - visit.since)
        self.queue.add((now if visit.begun is None else visit.begun) - visit.since)
        self.compute.add(visit.computed_s)

    def failed(self, visit: Visit, now: float) -> None:
        """A request will have none."""
        self.fail.add(now - visit.since)
