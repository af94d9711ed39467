"""What you learn here: a candidate is compared pair by pair, and refused when a structure got worse."""

from __future__ import annotations

import math

from irp_training.domain.judging.gate import judge

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
    nothing = float("nan")
    before = scores((0.9, nothing), (0.9, 0.8))
    verdict = judged(scores((0.9, 0.1), (0.9, 0.8)), before)
    assert verdict.passed
    assert [c.cases for c in verdict.comparisons] == [2, 1]


def test_a_candidate_that_no_longer_segments_a_structure_is_refused() -> None:
    candidate = {"case-0": {"lv_blood_pool": 0.95}}
    assert not judged(candidate, scores((0.9, 0.8))).passed


def test_without_champion_or_without_any_judged_case_nothing_is_claimed() -> None:
    assert judged(scores((0.1, 0.1)), None).comparisons == ()
    assert "no validation case" in judged({}, {}).reason
