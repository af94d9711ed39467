"""What you learn here: patients whom no list names are placed near 70/15/15 in every stratum, and never move."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_training.domain.datasets.placing import PARTS, SHARES, Placement, place
from irp_training.domain.datasets.split import Splits
from irp_training.domain.errors import FrozenPatient
from training_builders import a_case

WITHIN = 2.5  # patients that a split may be off its share, in the project, a site, or a scanner
STRATA = st.tuples(st.sampled_from(["a", "b", "c"]), st.sampled_from(["A 1.5 T", "B 1.5 T", "B 3 T"]))


def one_after_the_other(strata: list[tuple[str, str]]) -> list[dict[str, Placement]]:
    """The places after each patient has come."""
    known: dict[str, Placement] = {}
    seen = []
    for number, stratum in enumerate(strata):
        known = known | place({f"patient-{number}": stratum}, known.values())
        seen.append(known)
    return seen


@settings(max_examples=40, deadline=None)
@given(st.lists(STRATA, min_size=1, max_size=60))
def test_shares_stay_near_and_nobody_moves_whoever_comes(strata: list[tuple[str, str]]) -> None:
    seen = one_after_the_other(strata)
    assert all(earlier.items() <= later.items() for earlier, later in itertools.pairwise(seen))
    counts: Counter[tuple[object, str]] = Counter()
    for one in seen[-1].values():
        counts.update((level, one.part) for level in ("project", one.site, (one.site, one.scanner)))
    for level in {level for level, _ in counts}:
        everyone = sum(counts[level, part] for part in PARTS)
        for part in PARTS:
            assert abs(counts[level, part] - SHARES[part] * everyone) <= WITHIN


def test_sites_with_one_patient_each_do_not_all_teach() -> None:
    parts = [one.part for one in one_after_the_other([(f"site-{n}", "A") for n in range(40)])[-1].values()]
    assert abs(parts.count("validation") - 6) <= 1
    assert abs(parts.count("test") - 6) <= 1


@given(st.permutations(range(8)))
@settings(max_examples=10, deadline=None)
def test_patients_who_come_together_are_placed_alike_in_whatever_order(order: list[int]) -> None:
    newcomers = {f"patient-{n}": ("a", "A") for n in order}
    assert place(newcomers, []) == place(dict(sorted(newcomers.items())), [])


def test_among_five_first_patients_every_split_has_somebody() -> None:
    found = place({f"patient-{n}": ("a", "A") for n in range(5)}, [])
    assert {one.part for one in found.values()} == set(PARTS)


def test_a_list_decides_and_whoever_it_no_longer_names_stays() -> None:
    case = a_case(1)
    named = Splits({case.patient: "test"}).of([case])
    assert named[case.patient].part == "test"
    assert Splits({}, named).of([case]) == named


def test_a_patient_who_was_learnt_from_may_be_held_out_and_never_the_other_way() -> None:
    case = a_case(1)
    taught = {case.patient: Placement(part="training", site="s", scanner="x")}
    assert Splits({case.patient: "test"}, taught).of([case])[case.patient].part == "test"
    held = {case.patient: replace(taught[case.patient], part="test")}
    for named in ("training", "validation"):
        with pytest.raises(FrozenPatient) as refused:
            Splits.from_configuration({"splits": {named: ["somebody", case.patient]}}, held)
        assert f"entry 2 of `splits.{named}`" in refused.value.message
        assert case.patient not in str(refused.value)
