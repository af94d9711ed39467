"""What you learn here: what a reader marks reaches the classification server as it was said, or is refused in words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from . import fake_inference
from .conftest import PROJECT, House

NAME = "marked"
METHOD: dict[str, Any] = {"name": "n-sd", "structure": "scar", "parameters": {"n": 5}, "within_model": "lge@2"}
SCRIBBLE: dict[str, Any] = {"slice": 1, "points": [[3, 4], [5.5, 6]], "inside": False, "width": 3}
PROMPTS: dict[str, Any] = {
    "clicks": [{"slice": 1, "row": 7.5, "column": 2}],
    "boxes": [{"slice": 1, "row_first": 1, "column_first": 2, "row_last": 9, "column_last": 8}],
    "scribbles": [SCRIBBLE],
}


@pytest.fixture
def reader(house: House) -> httpx.Client:
    house.person().post("/api/v1/projects", json={**PROJECT, "name": NAME})
    return house.member(NAME, "reader", "viewer")


def ask(reader: httpx.Client, **body: Any) -> httpx.Response:
    path = f"/api/v1/projects/{NAME}/series/1.2.3/segment"
    return reader.post(path, json=body, headers={"Accept": "application/json"})


def test_marks_and_method_arrive_as_they_were_said(reader: httpx.Client) -> None:
    answer = ask(reader, algorithm=METHOD, prompts=PROMPTS, slices=[1])
    assert answer.status_code == 200, answer.text
    assert answer.json()
    asked = fake_inference.Inference.asked[-1]
    assert (asked.algorithm.name, asked.algorithm.structure, asked.algorithm.within_model) == ("n-sd", "scar", "lge@2")
    assert asked.algorithm.parameters == '{"n": 5}'
    assert (asked.prompts.clicks[0].row, asked.prompts.clicks[0].inside) == (7.5, True)
    assert asked.prompts.boxes[0].row_last == 9
    scribble = asked.prompts.scribbles[0]
    assert (list(scribble.points), scribble.inside, scribble.width) == ([3, 4, 5.5, 6], False, 3)


REFUSED: list[dict[str, Any]] = [
    {},
    {"model": "cine", "algorithm": METHOD},
    {"algorithm": {**METHOD, "name": "magic"}},
    {"algorithm": {**METHOD, "within_model": "../lge"}},
    {"algorithm": METHOD, "prompts": {"clicks": [{"slice": 1, "row": -1, "column": 2}]}},
    {"algorithm": METHOD, "prompts": {"clicks": [{"slice": 1, "row": 1, "column": 2}] * 201}},
    {"algorithm": METHOD, "prompts": {"scribbles": [{**SCRIBBLE, "points": [[1, 1]] * 2001}]}},
    {"algorithm": METHOD, "prompts": {"scribbles": [{**SCRIBBLE, "points": [[1]]}]}},
    {"algorithm": METHOD, "prompts": {"lassos": []}},
]


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_not_well_formed_is_refused(reader: httpx.Client, body: dict[str, Any]) -> None:
    answer = ask(reader, **body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
