"""What you learn here: the decision which requests share a pass, as a pure function that is tried on any sequence."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from irp_inference.domain.batching import Bounds, Line, Pass, Request, Wait

KINDS = ("a", "b")
MOST, WAIT_S = 4, 0.5


class AnySequence(RuleBasedStateMachine):
    """Somebody comes, goes, time passes, passes begin and end."""

    def __init__(self) -> None:
        super().__init__()
        self.line, self.now, self.number = Line(), 0.0, 0
        self.waiting: dict[int, Request] = {}
        self.running: Pass | None = None
        self.bounds = {kind: Bounds(most=MOST, wait_s=WAIT_S) for kind in KINDS}

    @rule(
        kind=st.sampled_from(KINDS),
        project=st.sampled_from("xyz"),
        lane=st.integers(0, 2),
        rows=st.integers(1, MOST),
        life=st.one_of(st.none(), st.floats(0.1, 5)),
    )
    def come(self, kind: str, project: str, lane: int, rows: int, life: float | None) -> None:
        self.number += 1
        until = None if life is None else self.now + life
        request = Request(
            number=self.number, kind=kind, project=project, lane=lane, rows=rows, since=self.now, until=until
        )
        self.line.add(request)
        self.waiting[self.number] = request

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.line.remove(number) == self.waiting.pop(number)
        assert self.line.remove(number) is None

    @rule(seconds=st.floats(0.01, 2))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for request in self.line.expired(self.now, self.bounds.__getitem__):
            assert request.until is not None
            assert request.until <= self.now
            del self.waiting[request.number]
        assert all(request.until is None or request.until > self.now for request in self.waiting.values())

    @precondition(lambda self: self.running is None)
    @rule()
    def decide(self) -> None:
        decision = self.line.decide(self.now, self.bounds.__getitem__)
        if decision is None:
            assert not self.waiting
        elif isinstance(decision, Wait):
            assert self.now < decision.until <= self.now + WAIT_S
        else:
            self._check(decision)
            self.running = decision

    def _check(self, taken: Pass) -> None:
        assert 0 < taken.rows <= MOST
        assert len({(request.kind, request.lane) for request in taken.members}) == 1
        for request in taken.members:
            del self.waiting[request.number]
            older = [
                other
                for other in self.waiting.values()
                if (other.kind, other.lane, other.project) == (request.kind, request.lane, request.project)
                and other.number < request.number
            ]
            assert not older  # nobody overtakes his own

    @precondition(lambda self: self.running is not None)
    @rule()
    def end(self) -> None:
        assert self.running is not None
        self.line.done(self.running, self.now)
        self.running = None

    @invariant()
    def nobody_is_lost(self) -> None:
        assert len(self.line) == len(self.waiting)
        assert self.line.rows() == sum(request.rows for request in self.waiting.values())
        for project in "xyz":
            assert self.line.of_project(project) == sum(r.project == project for r in self.waiting.values())


AnySequence.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_any_sequence_loses_nobody_and_overtakes_nobody = AnySequence.TestCase


def passes_of(clients: int, row_s: float, back_s: float, fixed_s: float, seconds: float) -> tuple[float, float]:
    """Closed-loop clients on a simulated device: answers per second, and the share of time the device worked."""
    line, now, number, busy, answered = Line(), 0.0, 0, 0.0, 0
    comes = [(0.0001 * client, client) for client in range(clients)]
    bounds = {"a": Bounds(most=8, wait_s=min(0.005, 0.1 * 8 * row_s))}
    free = 0.0
    while now < seconds:
        here, comes = [c for c in comes if c[0] <= now], [c for c in comes if c[0] > now]
        for at, _ in sorted(here):
            number += 1
            line.add(Request(number=number, kind="a", project="p", lane=0, rows=1, since=at))
        if now < free:
            now = min([free, *(c[0] for c in comes)]) if comes else free
            continue
        decision = line.decide(now, bounds.__getitem__)
        if isinstance(decision, Pass):
            took = fixed_s + row_s * decision.rows
            free, busy, answered = now + took, busy + took, answered + decision.rows
            comes += [(free + back_s * (0.5 + n / 16), n) for n in range(decision.rows)]
            while (early := [c for c in comes if c[0] <= free]) or now < free:  # who comes while it runs
                comes = [c for c in comes if c not in early]
                for at, _ in sorted(early):
                    number += 1
                    line.add(Request(number=number, kind="a", project="p", lane=0, rows=1, since=at))
                now = free
            line.done(decision, now)
        else:
            next_times = [c[0] for c in comes] + ([decision.until] if isinstance(decision, Wait) else [])
            now = min(next_times)
    return answered / now, busy / now


def test_eight_clients_keep_the_device_at_its_full_batches() -> None:
    ideal = 8 / (0.005 + 8 * 0.01)
    rate, _ = passes_of(8, row_s=0.01, back_s=0.001, fixed_s=0.005, seconds=20)
    assert rate >= 0.97 * ideal


def test_one_client_finds_a_free_device() -> None:
    _, busy = passes_of(1, row_s=0.01, back_s=0.001, fixed_s=0.005, seconds=20)
    assert busy >= 0.015 / (0.015 + 0.001)
