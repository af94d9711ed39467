"""What you learn here: after which crashes a model rests, and after which it is parked."""

from __future__ import annotations

import pytest
from irp_inference.domain.crashes import WITHIN_S, Crashes


@pytest.mark.parametrize(
    ("times", "parked"),
    [
        ([], False),
        ([0.0, 1.0], False),
        ([0.0, 1.0, 2.0], True),
        ([0.0, 1.0, WITHIN_S], False),  # the first is too long ago
        ([0.0, WITHIN_S, WITHIN_S + 1, WITHIN_S + 2], True),
    ],
)
def test_three_crashes_in_ten_minutes_park_a_model(times: list[float], parked: bool) -> None:
    crashes = Crashes()
    said = [crashes.add(time) for time in times]
    assert crashes.parked == parked
    assert said[-1:] == [parked][: len(said)]


def test_the_first_crash_costs_no_time_and_the_second_a_little() -> None:
    crashes = Crashes()
    assert crashes.rest_s(0.0) == 0
    crashes.add(10.0)
    assert crashes.rest_s(10.0) == 0
    crashes.add(11.0)
    assert crashes.rest_s(11.0) == pytest.approx(0.5)
    assert crashes.rest_s(11.4) == pytest.approx(0.1)
    assert crashes.rest_s(20.0) == 0


def test_a_model_is_parked_once_though_several_processes_of_it_end() -> None:
    crashes = Crashes()
    assert [crashes.add(time) for time in (0.0, 0.0, 0.0, 0.1)] == [False, False, True, False]
    assert crashes.parked


def test_crashes_of_long_ago_are_forgotten() -> None:
    crashes = Crashes()
    crashes.add(0.0)
    crashes.add(WITHIN_S)
    assert crashes.rest_s(WITHIN_S) == 0
