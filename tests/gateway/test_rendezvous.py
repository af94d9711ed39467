"""What you learn here: every gateway chooses the same replica for a series, and few move when replicas change."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from irp_gateway.domain.rendezvous import ranked

KEYS = [f"study/1.2.840.{number}" for number in range(400)]
NAMES = st.sets(st.from_regex(r"10\.[0-9]\.[0-9]{1,2}\.[0-9]{1,3}:9000", fullmatch=True), min_size=2, max_size=6)


def first(names: set[str]) -> dict[str, str]:
    return {key: ranked(key, names)[0] for key in KEYS}


@given(NAMES)
@settings(max_examples=8, deadline=None)
def test_the_order_of_names_does_not_matter_and_every_name_is_ranked(names: set[str]) -> None:
    for key in KEYS[:50]:
        assert ranked(key, sorted(names)) == ranked(key, sorted(names, reverse=True))
        assert set(ranked(key, names)) == names


@given(NAMES)
@settings(max_examples=8, deadline=None)
def test_series_are_shared_out_evenly(names: set[str]) -> None:
    shares = Counter(first(names).values())
    fair = len(KEYS) / len(names)
    assert all(abs(shares[name] - fair) < 5 * fair**0.5 for name in names)


@given(NAMES)
@settings(max_examples=8, deadline=None)
def test_a_replica_that_joins_takes_its_share_and_nothing_else_moves(names: set[str]) -> None:
    before, after = first(names), first({*names, "new:9000"})
    moved = [key for key in KEYS if before[key] != after[key]]
    fair = len(KEYS) / (len(names) + 1)
    assert len(moved) <= fair + 5 * fair**0.5
    assert {after[key] for key in moved} == {"new:9000"}


@given(NAMES)
@settings(max_examples=8, deadline=None)
def test_a_replica_that_leaves_gives_its_series_to_those_that_came_next(names: set[str]) -> None:
    gone = min(names)
    before, after = first(names), first(names - {gone})
    for key in KEYS:
        assert after[key] == (ranked(key, names)[1] if before[key] == gone else before[key])
