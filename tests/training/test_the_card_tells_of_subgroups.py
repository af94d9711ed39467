"""What you learn here: a card has figures with intervals over patients, per subgroup, and names no group too small."""

from __future__ import annotations

from typing import Any

from irp_training.domain.judging.figures import by_subgroup, summarise
from irp_training.domain.learning.card import model_card
from irp_training.domain.recipes.recipe import Recipe

POOL = "lv_blood_pool"


def a_row(patient: str, dice: float, **subgroups: str) -> dict[str, Any]:
    return {"patient": patient, "split": "test", "subgroups": subgroups, "after": {POOL: dice}, "before": {POOL: 0.8}}


CASES = [a_row(str(n), 0.88 + n / 100, site="a", sex="F" if n < 2 else "M") for n in range(6)]


def a_card(**figures: Any) -> str:
    return model_card(
        name="net", recipe=Recipe(licence="CC0-1.0"), base="", digest="0", structures=[POOL], figures=figures
    )


def test_intervals_are_over_patients_not_over_series() -> None:
    at = summarise([*CASES, *CASES], "after")["test"][POOL]
    assert (at["cases"], at["patients"], at["min"]) == (12, 6, 0.88)
    assert at["low"] < at["mean"] < at["high"]
    once = summarise(CASES, "after")["test"][POOL]
    assert (once["low"], once["high"]) == (at["low"], at["high"])
    alone = summarise(CASES[:1], "after")["test"][POOL]
    assert (alone["low"], alone["high"]) == (None, None)


def test_a_card_shows_subgroups_and_leaves_out_those_in_which_somebody_could_be_recognised() -> None:
    figures = {"dice": summarise(CASES, "after"), "dice_of_base": summarise(CASES, "before")}
    card = a_card(**figures, subgroups=by_subgroup(CASES))
    assert "| test | site: a | lv_blood_pool | 0.905 |" in card
    assert "sex: M" in card
    assert "sex: F" not in card  # two patients
    assert "| 6 | 6 | 0.800 |" in card
    assert "## Licence\nCC0-1.0" in card


def test_a_card_of_few_patients_says_that_it_has_no_subgroups() -> None:
    assert "no subgroup has the 3 patients" in a_card(subgroups=by_subgroup(CASES[:2]))


def test_what_a_header_says_stays_in_its_cell() -> None:
    rows = [a_row(str(n), 0.9, scanner="a|b\n| `x") for n in range(3)]
    assert "| test | scanner: a/b / 'x | lv_blood_pool |" in a_card(subgroups=by_subgroup(rows))
