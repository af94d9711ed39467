"""What you learn here: patterns of projects are matched in a time that nobody who sends headers can stretch."""

from __future__ import annotations

import time

from irp_deid.sequences import MAX_VALUE, matching


def test_a_pattern_holds_where_it_is_found_and_a_number_within_its_range() -> None:
    rules = [
        {"when": {"SeriesDescription": "(?i)psir|lge"}},
        {"when": {"Modality": "^MR$", "EchoTime": {"max": 2.0}}},
        {"when": {"SeriesDescription": "^Ä.*[éü]$"}},
    ]
    assert matching(rules, {"SeriesDescription": "SAX PSIR 3"}) == [0]
    assert matching(rules, {"Modality": "MR", "EchoTime": "1.5", "SeriesDescription": "cine"}) == [1]
    assert matching(rules, {"SeriesDescription": "Äußerst früh é"}) == [2]


def test_a_nested_repetition_costs_no_more_than_any_pattern() -> None:
    rules = [{"when": {"SeriesDescription": "^([A-Za-z]+)+$"}}, {"when": {"SeriesDescription": "^(a|a)*b"}}]
    began = time.process_time()
    assert matching(rules, {"SeriesDescription": "a" * (MAX_VALUE - 1) + "!"}) == []
    assert time.process_time() - began < 1  # by going back and trying again it would be years


def test_what_was_a_pattern_once_and_is_none_now_holds_for_nothing() -> None:
    assert matching([{"when": {"SeriesDescription": "(?=x)x"}}], {"SeriesDescription": "x"}) == []
