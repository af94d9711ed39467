"""What you learn here: how an operator says which version answers, and which models make room for others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irp_inference.domain.errors import ModelsTooLarge, ServingNotValid
from irp_inference.domain.residency import Resident, leaving
from irp_inference.domain.serving import Policy, Share, choose, shadow_of

UIDS = [f"1.2.840.{number}" for number in range(10_000)]


def test_without_a_word_the_champion_answers() -> None:
    assert choose(Policy(), 3, "cine", UIDS[0], []).version == 3


def test_a_pin_holds_whatever_is_promoted_and_gives_way_if_it_is_not_loaded() -> None:
    assert choose(Policy(pin=2), 3, "cine", UIDS[0], [2]).version == 2
    assert choose(Policy(pin=2), 3, "cine", UIDS[0], []).role == "champion"


def test_a_canary_gets_its_share_and_a_series_always_the_same_version() -> None:
    policy = Policy(canary=Share(version=4, percent=10))
    served = [choose(policy, 3, "cine", uid, [4]).version for uid in UIDS]
    assert served == [choose(policy, 3, "cine", uid, [4]).version for uid in UIDS]
    # Binomial with p = 0.1: five standard deviations of 30 around 1000.
    assert abs(served.count(4) - 1000) < 150
    assert [choose(policy, 3, "other", uid, [4]).version for uid in UIDS] != served
    assert {choose(policy, 3, "cine", uid, []).version for uid in UIDS} == {3}


def test_a_shadow_is_another_version_for_its_share() -> None:
    policy = Policy(shadow=Share(version=4, percent=100))
    assert shadow_of(policy, 3, "cine", UIDS[0]) == 4
    assert shadow_of(policy, 4, "cine", UIDS[0]) is None
    assert shadow_of(Policy(), 3, "cine", UIDS[0]) is None


def test_a_promotion_decides_the_trials_of_that_version_and_of_older_ones() -> None:
    policy = Policy(pin=2, canary=Share(version=4, percent=10), shadow=Share(version=5, percent=100))
    assert policy.once_promoted(3) == policy
    assert policy.once_promoted(4) == Policy(pin=2, shadow=policy.shadow)
    assert policy.once_promoted(6) == Policy(pin=2)


REFUSED: list[dict[str, Any]] = [
    {"pinn": 1},
    {"pin": "2"},
    {"pin": True},
    {"pin": 0},
    {"canary": {"version": 1}},
    {"canary": {"version": 1, "percent": 0}},
    {"canary": {"version": 1, "percent": 100.5}},
    {"shadow": {"version": -1, "percent": 5}},
    {"shadow": 3},
]


@pytest.mark.parametrize("said", REFUSED)
def test_what_is_not_understood_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(ServingNotValid):
        Policy.from_json(said)


def test_a_policy_travels_as_it_is() -> None:
    policy = Policy(pin=1, canary=Share(version=2, percent=5), shadow=Share(version=3, percent=100))
    assert Policy.from_json(policy.to_json()) == policy
    assert policy.versions == {1, 2, 3}


residents = st.lists(
    st.builds(
        Resident,
        key=st.tuples(st.sampled_from("abc"), st.integers(1, 50)),
        size=st.integers(1, 100),
        users=st.integers(0, 2),
        last_used=st.floats(0, 100),
        needed=st.booleans(),
    ),
    max_size=12,
    unique_by=lambda resident: resident.key,
)


@given(here=residents, budget=st.integers(0, 600), coming=st.integers(0, 200))
def test_who_is_held_or_needed_never_leaves_and_the_budget_is_kept(
    here: list[Resident], budget: int, coming: int
) -> None:
    free = [resident for resident in here if not resident.needed and not resident.users]
    try:
        gone = leaving(here, budget, coming)
    except ModelsTooLarge:
        assert sum(r.size for r in here) - sum(r.size for r in free) + coming > budget
        return
    assert set(gone) <= {resident.key for resident in free}
    if coming:
        assert sum(r.size for r in here if r.key not in gone) + coming <= budget
    stayed = [resident for resident in free if resident.key not in gone]
    if gone and stayed:  # the least recently used went first
        assert max(r.last_used for r in free if r.key in gone) <= min(r.last_used for r in stayed)
