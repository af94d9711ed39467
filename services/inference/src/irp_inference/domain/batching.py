"""Which forward passes go together, and when: a pure decision. Time is an argument; nothing here waits or computes.

Rules. A lane goes before the next one, but a lane that was passed over `PATIENCE_OF_LANES` times goes next, so that a
proposal ends under a flood of live requests. Inside a lane the project that was served least goes first (start-time
fair queueing: Goyal, Vin, Cheng 1996), and inside a project the oldest request. A batch takes further requests of the
same kind, by the same rule, up to the number that the device profits from. A batch that is smaller than what was
lately in flight waits a little for the others: clients that were answered together come back together.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Hashable, Iterator
from dataclasses import dataclass, field

PATIENCE_OF_LANES = 9  # passes of better lanes before a lane goes next


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request that waits.

    Attributes:
        number: order of arrival.
        kind: requests of one kind may share a pass (model version, stage, input shape).
        project: whose it is.
        lane: smaller goes first.
        rows: inputs of the pass.
        since: when it came, seconds of a monotonic clock.
        until: when its answer is worth nothing any more, or None.
    """

    number: int
    kind: Hashable
    project: str
    lane: int
    rows: int
    since: float
    until: float | None = None

    def is_late(self, now: float, row_s: float) -> bool:
        """True if an answer that is begun now would come too late."""
        return self.until is not None and self.until - row_s * self.rows <= now


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What is known of a kind when a decision is taken.

    Attributes:
        most: rows beyond which a pass gains nothing.
        wait_s: how long an incomplete batch may wait for others.
        row_s: how long a pass takes per row; 0 = not measured yet.
    """

    most: int
    wait_s: float = 0.0
    row_s: float = 0.0


BoundsOf = Callable[[Hashable], Bounds]


@dataclass(frozen=True, slots=True)
class Pass:
    """Run these together, now."""

    members: tuple[Request, ...]

    @property
    def rows(self) -> int:
        """Inputs of the pass."""
        return sum(member.rows for member in self.members)


@dataclass(frozen=True, slots=True)
class Wait:
    """Decide again at this time, or when somebody comes."""

    until: float


@dataclass(slots=True)
class _Lane:
    """Requests of one lane by project, in order of arrival."""

    by_project: dict[str, OrderedDict[int, Request]] = field(default_factory=dict)
    passed_over: int = 0

    def __iter__(self) -> Iterator[Request]:
        return (request for waiting in self.by_project.values() for request in waiting.values())


class Line:
    """Everything that waits for one device."""

    def __init__(self) -> None:
        self._lanes: dict[int, _Lane] = {}
        self._served: dict[str, float] = {}  # virtual time of each project that waits or was served lately
        self._now = 0.0  # virtual time of the pass that was taken last
        self._free_since = 0.0
        self._in_flight: dict[Hashable, int] = {}
        self._requests: dict[int, Request] = {}

    def __len__(self) -> int:
        return len(self._requests)

    def rows(self) -> int:
        """Inputs that wait."""
        return sum(request.rows for request in self._requests.values())

    def of_project(self, project: str) -> int:
        """Requests of a project that wait."""
        return sum(len(lane.by_project.get(project, ())) for lane in self._lanes.values())

    def is_full(self, project: str, limit: int) -> bool:
        """True if a project may not come: so many wait already, or three quarters of so many of its own."""
        return len(self) >= limit or self.of_project(project) >= max(1, limit * 3 // 4)

    def add(self, request: Request) -> None:
        """Somebody comes."""
        lane = self._lanes.setdefault(request.lane, _Lane())
        if not self.of_project(request.project):
            # Having been away earns no credit.
            self._served[request.project] = max(self._served.get(request.project, 0.0), self._now)
        lane.by_project.setdefault(request.project, OrderedDict())[request.number] = request
        self._requests[request.number] = request

    def remove(self, number: int) -> Request | None:
        """Somebody goes away; None if he is gone already."""
        request = self._requests.pop(number, None)
        if request is None:
            return None
        lane = self._lanes[request.lane]
        waiting = lane.by_project[request.project]
        del waiting[number]
        if not waiting:
            del lane.by_project[request.project]
        return request

    def expired(self, now: float, bounds: BoundsOf) -> list[Request]:
        """Take away what cannot be answered in time any more."""
        timed = (request for request in self._requests.values() if request.until is not None)
        late = [request for request in timed if request.is_late(now, bounds(request.kind).row_s)]
        for request in late:
            self.remove(request.number)
        return late

    def decide(self, now: float, bounds: BoundsOf, barred: Container[str] = ()) -> Pass | Wait | None:
        """The next pass, which is taken out of the line; or until when to wait; None if nobody is there.

        Args:
            now: seconds of the monotonic clock.
            bounds: of the kinds that wait.
            barred: projects that have their share already: they wait.
        """
        lane = self._next_lane(barred)
        if lane is None:
            return None
        first = self._fairest(self._lanes[lane], None, barred)
        limits = bounds(first.kind)
        waiting = sum(request.rows for request in self._lanes[lane] if request.kind == first.kind)
        aim = min(limits.most, self._in_flight.get(first.kind, 1))
        until = max(first.since, self._free_since) + limits.wait_s
        if waiting < aim and now < until:
            return Wait(until)
        return self._take(lane, first, limits.most, barred)

    def done(self, taken: Pass, now: float) -> None:
        """A pass has ended: those it answered may come back, beside those that wait now."""
        self._free_since = now
        kind = taken.members[0].kind
        waiting = sum(request.rows for request in self._requests.values() if request.kind == kind)
        self._in_flight[kind] = taken.rows + waiting

    def forget(self, kind: Hashable) -> None:
        """A model was unloaded."""
        self._in_flight.pop(kind, None)

    def _next_lane(self, barred: Container[str]) -> int | None:
        lanes = sorted(self._lanes.items())
        waiting = [number for number, lane in lanes if any(name not in barred for name in lane.by_project)]
        neglected = [number for number in waiting if self._lanes[number].passed_over >= PATIENCE_OF_LANES]
        return next(iter(neglected + waiting), None)

    def _fairest(self, lane: _Lane, kind: Hashable | None, barred: Container[str]) -> Request:
        """Oldest request (of a kind) of the project that was served least; the caller knows that there is one."""
        candidates = (
            (self._served[project], request.number, request)
            for project, waiting in lane.by_project.items()
            if project not in barred
            and (request := next((r for r in waiting.values() if kind is None or r.kind == kind), None)) is not None
        )
        return min(candidates)[2]

    def _take(self, lane: int, first: Request, most: int, barred: Container[str]) -> Pass:
        members, rows = [first], first.rows
        self._leave(first)
        while any(r.kind == first.kind and r.project not in barred for r in self._lanes[lane]):
            following = self._fairest(self._lanes[lane], first.kind, barred)
            if rows + following.rows > most:
                break
            members.append(following)
            rows += following.rows
            self._leave(following)
        for number, other in self._lanes.items():
            other.passed_over = other.passed_over + 1 if number > lane and other.by_project else 0
        return Pass(tuple(members))

    def _leave(self, request: Request) -> None:
        self._now = self._served[request.project]
        self._served[request.project] += request.rows
        self.remove(request.number)
        if len(self._served) > 2 * len(self._requests) + 64:  # projects that went away long ago
            self._served = {p: v for p, v in self._served.items() if v > self._now or self.of_project(p)}
