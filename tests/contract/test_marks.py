"""What you learn here: what a reader marks reaches the classification server as it was said, or is refused in words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from irp_inference.domain.algorithms.table import METHODS
from openirp.client import Irp
from openirp.command.app import app
from typer.testing import CliRunner

from . import fake_inference
from .conftest import PROJECT, TOKEN, House

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


def test_a_method_across_slices_is_asked_for_as_one(reader: httpx.Client) -> None:
    answer = ask(reader, algorithm={**METHOD, "volume": True}, prompts=PROMPTS)
    assert answer.status_code == 200, answer.text
    asked = fake_inference.Inference.asked[-1]
    assert asked.algorithm.volume
    assert list(asked.slices) == []
    found = {one["name"]: one["volume"] for one in reader.get("/api/v1/algorithms").json()}
    assert (found["random-walker"], found["graph-cut"]) == (True, False)


REFUSED: list[dict[str, Any]] = [
    {},
    {"model": "cine", "algorithm": METHOD},
    {"algorithm": {**METHOD, "name": "Magic; drop"}},
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


def test_the_room_alone_knows_which_methods_there_are(reader: httpx.Client) -> None:
    answer = ask(reader, algorithm={**METHOD, "name": "magic"})
    assert (answer.status_code, answer.json()["reason"]) == (400, "ALGORITHM_UNKNOWN")
    found = {one["name"]: one for one in reader.get("/api/v1/algorithms").json()}
    assert list(found) == list(METHODS)
    growing = {one["name"]: one for one in found["region-growing"]["parameters"]}
    assert (growing["tolerance"]["default"], growing["tolerance"]["range"]) == (3, [0.1, 100])
    assert growing["connectivity"]["choices"] == [4, 8]
    assert found["threshold"]["parameters"][0]["default"] is None
    assert found["fwhm"]["parameters"][0]["default"] is True
    assert all(one["finds"] and one["marks"] and all(p["text"] for p in one["parameters"]) for one in found.values())


def test_the_command_lists_them(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    shown = CliRunner().invoke(app, ["algorithms"]).stdout
    words = "".join(shown.split())  # cells are folded
    assert all(said in words for said in ("tolerance(3;0.1to100)", "smoothing(1;0to4)", "no_reflow(true)"))
    assert CliRunner().invoke(app, ["algorithms", "--json"]).stdout.startswith("[")
    assert [one["name"] for one in Irp(house.url, TOKEN).algorithms()] == list(METHODS)
