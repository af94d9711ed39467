"""What you learn here: a rating is checked against the project's form, and refusals name the question only."""

from __future__ import annotations

from typing import Any

import pytest
from irp_quality.domain.errors import QualityFormInvalid, RatingInvalid
from irp_quality.domain.rating import check_rating, read_form

FORM = read_form(
    {
        "quality_form": [
            {"name": "motion", "type": "integer", "min": 1, "max": 5},
            {"name": "comment", "type": "text"},
            {"name": "breath_hold", "type": "boolean"},
            {"name": "artefact", "type": "choice", "options": ["none", "wrap", "banding"]},
            {"name": "shift_mm", "type": "number", "min": 0},
        ]
    }
)


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"motion": 5},
        {"motion": 3.0, "comment": "sharp", "breath_hold": True, "artefact": "wrap", "shift_mm": 0.5},
        {"motion": None},
    ],
)
def test_answers_that_fit_are_taken(answers: dict[str, Any]) -> None:
    check_rating(3, answers, FORM)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"motion": 6}, "`motion` must be a whole number and at least 1 and at most 5"),
        ({"motion": 2.5}, "`motion`"),
        ({"motion": True}, "`motion`"),
        ({"comment": 7}, "`comment`"),
        ({"breath_hold": "yes"}, "`breath_hold`"),
        ({"artefact": "ghost"}, "must be one of none, wrap, banding"),
        ({"shift_mm": -1}, "`shift_mm`"),
        ({"name of patient": "x"}, "does not ask"),
    ],
)
def test_answers_that_do_not_fit_are_refused_by_the_questions_name(answers: dict[str, Any], says: str) -> None:
    with pytest.raises(RatingInvalid, match=says) as refused:
        check_rating(3, answers, FORM)
    assert refused.value.http_status == 422


@pytest.mark.parametrize("stars", [0, 6, -1])
def test_stars_are_one_to_five(stars: int) -> None:
    with pytest.raises(RatingInvalid, match="1 to 5"):
        check_rating(stars, {}, FORM)


@pytest.mark.parametrize("entry", [{"type": "integer"}, {"name": "a", "type": "dial"}, "motion"])
def test_a_form_that_cannot_be_read_is_refused(entry: Any) -> None:
    with pytest.raises(QualityFormInvalid):
        read_form({"quality_form": [entry]})


def test_a_project_without_a_form_takes_stars_alone() -> None:
    check_rating(4, {}, read_form({}))
    with pytest.raises(RatingInvalid):
        check_rating(4, {"motion": 1}, read_form({}))
