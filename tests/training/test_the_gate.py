"""What you learn here: a candidate is compared pair by pair, and refused when a structure got worse."""

from __future__ import annotations

import math

import pytest
from irp_training.domain.judging.gate import given_up, judge
from irp_training.domain.judging.precision import accepts, compare

BOTH = ("lv_blood_pool", "lv_myocardium")


def scores(*pairs: tuple[float, float]) -> dict[str, dict[str, float]]:
    return {f"case-{n}": dict(zip(BOTH, pair, strict=True)) for n, pair in enumerate(pairs)}


def judged(candidate: dict, champion: dict | None):
    return judge(candidate, champion, margin=0.01, dataset="d", structures=BOTH)


def test_a_better_or_equal_candidate_passes() -> None:
    before = scores((0.90, 0.80), (0.92, 0.84))
    assert judged(before, before).passed
    assert judged(scores((0.91, 0.85), (0.93, 0.86)), before).passed


def test_a_candidate_that_is_worse_on_one_structure_is_refused_however_good_it_is_on_the_other() -> None:
    verdict = judged(scores((0.99, 0.78), (0.99, 0.82)), scores((0.90, 0.80), (0.92, 0.84)))
    assert not verdict.passed
    assert verdict.worst is not None
    assert verdict.worst.structure == "lv_myocardium"
    assert math.isclose(verdict.worst.difference, -0.02, abs_tol=1e-9)


def test_within_the_margin_is_not_worse() -> None:
    assert judged(scores((0.895, 0.80)), scores((0.90, 0.80))).passed


def test_what_was_not_judged_is_not_compared() -> None:
    before = scores((0.9, 0.7), (0.9, 0.8))
    del before["case-0"]["lv_myocardium"]
    verdict = judged(scores((0.9, 0.1), (0.9, 0.8)), before)
    assert verdict.passed
    assert [c.cases for c in verdict.comparisons] == [2, 1]


def test_a_candidate_that_no_longer_segments_a_structure_is_refused() -> None:
    candidate = {"case-0": {"lv_blood_pool": 0.95}}
    assert not judged(candidate, scores((0.9, 0.8))).passed
    refusal = given_up(("lv_blood_pool",), (*BOTH, "scar"), 0.01)
    assert refusal is not None
    assert (refusal.passed, refusal.reason) == (False, "no longer segments lv_myocardium, scar")
    assert given_up((*BOTH, "scar"), BOTH, 0.01) is None


def test_what_nobody_judged_is_said_by_name() -> None:
    verdict = judge({"1": {"scar": 0.9}}, {"1": {"scar": 0.9}}, margin=0.01, dataset="d", structures=(*BOTH, "scar"))
    assert verdict.passed
    assert verdict.warnings == tuple(
        f"{name} was not compared: nobody judged it in the validation set" for name in BOTH
    )
    assert len(judged({}, {}).warnings) == 2
    (seen_by_none,) = on_scar([NONE_SEEN], [NONE_SEEN]).warnings
    assert "neither model saw any" in seen_by_none


def test_without_champion_or_without_any_judged_case_nothing_is_claimed() -> None:
    assert judged(scores((0.1, 0.1)), None).comparisons == ()
    assert "no validation case" in judged({}, {}).reason


NONE_SEEN = float("nan")  # judged by an expert, and neither the expert nor the model saw any


def on_scar(candidate: list[float], champion: list[float]):
    """Case by case; every case was judged."""
    mine, theirs = ({f"case-{n}": {"scar": dice} for n, dice in enumerate(some)} for some in (candidate, champion))
    return judge(mine, theirs, margin=0.01, dataset="d", structures=("scar",), way="auto")


def test_a_candidate_that_makes_up_scars_where_there_are_none_is_refused() -> None:
    verdict = on_scar([0.0] * 8, [NONE_SEEN] * 8)
    assert not verdict.passed
    assert (verdict.comparisons[0].cases, verdict.comparisons[0].difference) == (8, -1.0)
    assert (verdict.comparisons[0].candidate, verdict.comparisons[0].champion) == (0.0, 1.0)


def test_a_candidate_that_no_longer_makes_up_scars_gets_credit_for_it() -> None:
    verdict = on_scar([NONE_SEEN] * 8, [0.0] * 8)
    assert verdict.passed
    assert verdict.comparisons[0].difference == 1.0


def test_a_reduced_precision_that_makes_something_up_is_not_accepted() -> None:
    float32, reduced = ({f"case-{n}": {"scar": dice} for n in range(3)} for dice in (NONE_SEEN, 0.0))
    assert not accepts(compare(reduced, float32, dataset="d", structures=("scar",)))


def test_healthy_hearts_in_which_nobody_sees_a_scar_do_not_hide_a_loss_in_the_ill_ones() -> None:
    verdict = on_scar([NONE_SEEN] * 20 + [0.65], [NONE_SEEN] * 20 + [0.7])
    assert not verdict.passed
    assert verdict.comparisons[0].difference == pytest.approx(-0.05)
