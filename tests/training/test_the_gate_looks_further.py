"""What you learn here: means of few patients prove nothing; subgroups, calibration and latency have bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engines import examined
from irp_kernel import Volume, decode_mask, decode_volume, encode_mask, encode_volume
from irp_training.domain.datasets.subgroups import subgroups_of
from irp_training.domain.judging.bounds import Bounds
from irp_training.domain.judging.gate import Verdict, judge
from irp_training.domain.judging.patients import by_patient, lower_bound
from irp_training.domain.registry.checks import examine_candidate
from irp_training.domain.registry.examined import Examined
from precision_builders import a_threshold, held_out
from training_builders import a_case

POOL = "lv_blood_pool"


def scores(*values: float) -> dict[str, dict[str, float]]:
    return {f"1.2.{number}": {POOL: value} for number, value in enumerate(values)}


def verdict_on(candidate: Examined, champion: Examined, sites: str = "", **bounds: object) -> Verdict:
    """Case n is of patient n, at the site of the n-th letter."""
    cases = [a_case(number) for number in range(len(champion.scores))]
    placed = [replace(case, site=site) for case, site in zip(cases, sites or "a" * len(cases), strict=True)]
    by_series = {case.series: case for case in placed}
    told = Bounds(**bounds)  # type: ignore[arg-type]
    return examine_candidate(candidate, champion, bounds=told, dataset="d", structures=(POOL,), cases=by_series)


def test_with_enough_patients_the_interval_decides_and_says_how_low_it_could_be() -> None:
    before = scores(*[0.9] * 8)
    steady = judge(scores(*[0.899] * 8), before, margin=0.01, dataset="d", structures=(POOL,), way="auto")
    assert (steady.passed, steady.comparisons[0].rule, steady.comparisons[0].patients) == (True, "bootstrap", 8)
    wild = scores(0.95, 0.85, 0.95, 0.85, 0.95, 0.85, 0.95, 0.85)
    unproven = judge(wild, before, margin=0.01, dataset="d", structures=(POOL,), way="auto")
    assert not unproven.passed
    assert unproven.reason == f"not shown to be no worse on {POOL}"
    assert unproven.comparisons[0].difference == pytest.approx(0.0)
    assert unproven.comparisons[0].lower is not None
    assert unproven.comparisons[0].lower < -0.01


def test_few_patients_are_judged_by_their_mean_and_the_verdict_says_that_this_proves_nothing() -> None:
    before, after = scores(0.9, 0.9, 0.9), scores(0.95, 0.85, 0.9)
    verdict = judge(after, before, margin=0.01, dataset="d", structures=(POOL,), way="auto")
    assert verdict.passed
    assert verdict.comparisons[0].lower is None
    assert "3 of 6" in verdict.warnings[0]
    strict = judge(after, before, margin=0.01, dataset="d", structures=(POOL,), way="bootstrap")
    assert not strict.passed


def test_series_of_one_patient_are_one_voice() -> None:
    series = [("a1", 0.0), ("a2", 0.2), ("b", 0.4)]
    assert by_patient(series, {"a1": "a", "a2": "a"}) == {"a": pytest.approx(0.1), "b": 0.4}
    many = {f"1.2.{number}": "one" for number in range(8)}
    verdict = judge(
        scores(*[0.9] * 8), scores(*[0.9] * 8), margin=0.01, dataset="", structures=(POOL,), patients=many, way="auto"
    )
    assert (verdict.comparisons[0].cases, verdict.comparisons[0].patients) == (8, 1)


def test_the_interval_misses_the_truth_as_often_as_it_says_even_with_six_patients() -> None:
    random = np.random.default_rng(1)
    samples = random.normal(0, 0.02, (300, 6))
    misses = np.mean([lower_bound({str(n): value for n, value in enumerate(some)}) > 0 for some in samples.tolist()])
    assert 0.02 < misses < 0.09  # 5 %; plain percentiles miss 10 %


def test_a_subgroup_that_loses_is_a_refusal_however_well_the_others_do() -> None:
    before = Examined(scores=scores(*[0.9] * 10))
    after = Examined(scores=scores(*[0.99] * 5, *[0.85] * 5))
    verdict = verdict_on(after, before, "aaaaabbbbb", way="mean")
    assert not verdict.passed
    assert verdict.reason == f"worse on {POOL} at site b"
    assert [(s.value, s.patients, s.passed) for s in verdict.subgroups] == [("a", 5, True), ("b", 5, False)]


def test_what_is_made_up_at_one_site_is_seen_there() -> None:
    nothing = float("nan")
    before = Examined(scores=scores(*[0.8] * 30, *[nothing] * 5))
    after = Examined(scores=scores(*[0.9] * 30, *[nothing] * 4, 0.0))
    verdict = verdict_on(after, before, "a" * 30 + "b" * 5, way="mean")
    assert verdict.passed  # one patient with an own opinion is too few for a bound
    after = Examined(scores=scores(*[0.99] * 30, *[0.0] * 5))
    assert "worse on lv_blood_pool at site b" in verdict_on(after, before, "a" * 30 + "b" * 5, way="mean").reason


def test_a_case_in_which_rightly_nothing_is_found_was_judged_and_one_that_nobody_looked_at_was_not() -> None:
    (case, part, volume, mask), *_ = held_out()
    truth = decode_mask(mask)
    empty = replace(truth, labels=np.zeros_like(truth.labels))
    unseen = replace(empty, annotated=np.zeros_like(truth.annotated))
    dark = Volume(geometry=truth.geometry, array=np.zeros_like(decode_volume(volume).array))
    files = [
        (replace(case, series=name), part, encode_volume(image), encode_mask(drawn))
        for name, image, drawn in (
            ("found", decode_volume(volume), truth),
            ("made up", decode_volume(volume), empty),
            ("rightly none", dark, empty),
            ("not judged", dark, unseen),
        )
    ]
    (one,) = examined([a_threshold()], files)
    assert one.scores["found"][POOL] > 0.9
    assert one.scores["made up"][POOL] == 0.0
    assert np.isnan(one.scores["rightly none"][POOL])
    assert POOL not in one.scores["not judged"]


def test_a_small_subgroup_decides_nothing_and_of_one_or_two_patients_nothing_is_told() -> None:
    before = Examined(scores=scores(*[0.85] * 10))
    after = Examined(scores=scores(*[0.99] * 5, *[0.75] * 5))
    verdict = verdict_on(after, before, "aaaaabbbcc", way="mean")
    assert verdict.passed
    assert [(s.value, s.patients) for s in verdict.subgroups] == [("a", 5), ("b", 3)]
    assert verdict.subgroups[1].bound is None
    assert verdict.subgroups[1].difference == pytest.approx(-0.1)


def test_a_candidate_that_believes_in_itself_too_much_is_refused_where_there_are_enough_patients() -> None:
    good = Examined(scores=scores(*[0.9] * 6), calibration_error=0.02)
    bold = replace(good, calibration_error=0.12)
    assert verdict_on(bold, good).reason == "calibration is out of its bound"
    few = dict(list(good.scores.items())[:3])
    warned = verdict_on(replace(bold, scores=few), replace(good, scores=few))
    assert warned.passed
    assert any("too few to refuse" in warning for warning in warned.warnings)


@pytest.mark.parametrize(
    ("seconds", "passed", "warned"), [(0.01, True, False), (0.015, True, True), (0.03, False, True)]
)
def test_a_slow_candidate_is_warned_of_and_then_refused(seconds: float, passed: bool, warned: bool) -> None:
    before = Examined(scores=scores(*[0.9] * 6), seconds_per_slice=0.01)
    verdict = verdict_on(replace(before, seconds_per_slice=seconds), before)
    assert (verdict.passed, any(w.startswith("latency") for w in verdict.warnings)) == (passed, warned)
    assert verdict_on(replace(before, seconds_per_slice=9.0), before, latency_ratio=0.0).passed


def test_both_models_are_measured_on_the_same_cases() -> None:
    one, two = examined([a_threshold(), a_threshold()], held_out())
    assert one.scores == two.scores
    assert min(score[POOL] for score in one.scores.values()) > 0.9
    assert one.calibration_error is not None
    assert 0 <= one.calibration_error < 0.5
    assert 0 < one.seconds_per_slice < 10 * two.seconds_per_slice


def test_subgroups_are_what_the_facts_say_and_nothing_is_made_up() -> None:
    assert subgroups_of(a_case(1)) == {"site": "site-1"}
    told = replace(
        a_case(1), manufacturer="Maker", manufacturer_model="One", field_strength_t=2.8936, sex="F", age_years=59.0
    )
    assert subgroups_of(told) == {
        "site": "site-1",
        "scanner": "Maker One",
        "field strength": "3 T",
        "sex": "F",
        "age": "40 to 59",
    }
    assert [subgroups_of(replace(told, age_years=age))["age"] for age in (39.9, 60.0)] == ["under 40", "60 and over"]


def test_a_gain_on_one_sequence_pays_for_no_loss_on_another() -> None:
    before = Examined(scores=scores(*[0.9] * 20))
    after = Examined(scores=scores(*[0.99] * 15, *[0.8] * 5))
    cases = [replace(a_case(n), sequence_class="cine-sax" if n < 15 else "lge-sax") for n in range(20)]
    by_series = {case.series: case for case in cases}
    verdict = examine_candidate(
        after, before, bounds=Bounds(way="mean"), dataset="d", structures=(POOL,), cases=by_series
    )
    assert verdict.reason == f"worse on {POOL} at sequence lge-sax"
