"""What you learn here: administrators say which version of a model answers; everybody may look."""

from __future__ import annotations

from typing import Any

import pytest
from openirp.client import Irp
from openirp.command.app import app
from typer.testing import CliRunner

from .conftest import TOKEN, House


@pytest.fixture
def irp(house: House, monkeypatch: pytest.MonkeyPatch) -> Irp:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    return Irp.from_environment()


def test_what_is_said_is_followed_audited_and_shown(house: House, irp: Irp) -> None:
    said = irp.set_serving("cine", pin=2, canary={"version": 4, "percent": 10})
    assert (said["pin"], said["canary"], said["shadow"]) == (2, {"version": 4, "percent": 10.0}, None)
    assert said["champion"] == 3
    assert said["comparisons"][0]["structures"][0]["mean_dice"] == 0.9123
    assert house.serving.actor == "bootstrap-admin"
    lines = [line for line in irp.http.items("/api/v1/audit") if "serving" in line["action"]]
    assert "name=cine" in lines[-1]["target"]
    assert house.person().delete("/api/v1/models/cine/serving").status_code == 204
    after = irp.serving("cine")
    assert (after["pin"], after["canary"]) == (None, None)


def test_versions_are_loaded_listed_and_let_go(irp: Irp) -> None:
    assert irp.load_model("cine", 4)["role"] == "kept"
    irp.unload_model("cine", 4)
    ready, failed = irp.loaded_models()
    assert (ready["state"], ready["engine"], ready["memory_bytes"]) == ("ready", "openvino", 200 << 20)
    assert (failed["state"], failed["reason"]) == ("failed", "ENGINE_DISAGREES")


REFUSED: list[dict[str, Any]] = [
    {"pin": 0},
    {"pin": "two"},
    {"canary": {"version": 1, "percent": 0}},
    {"canary": {"version": 1, "percent": 101}},
    {"shadow": {"version": 1}},
    {"canarie": None},
]


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_not_understood_is_refused_and_changes_nothing(house: House, body: dict[str, Any]) -> None:
    revision = house.serving.revision
    answer = house.person().put("/api/v1/models/cine/serving", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert house.serving.revision == revision


def test_a_version_that_nobody_else_agreed_to_answers_no_reader(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house.training, "unagreed", True)
    revision = house.serving.revision
    for answering in ({"pin": 2}, {"canary": {"version": 2, "percent": 10}}):
        answer = house.person().put("/api/v1/models/cine/serving", json=answering)
        assert (answer.status_code, answer.json()["reason"]) == (400, "VERSION_NOT_AGREED")
    assert house.serving.revision == revision
    shadow = {"shadow": {"version": 2, "percent": 100}, "pin": 1}  # of another nothing is known here
    assert house.person().put("/api/v1/models/cine/serving", json=shadow).status_code == 200
    assert house.person().delete("/api/v1/models/cine/serving").status_code == 204


def test_only_administrators_change_what_is_served(house: House) -> None:
    house.person().post("/api/v1/projects", json={**PROJECT_OF_SERVING})
    member = house.member("serving-doors", "reader", "viewer")
    assert member.put("/api/v1/models/cine/serving", json={}).status_code == 403
    assert member.post("/api/v1/models/cine/versions/1/load").status_code == 403
    assert house.person().get("/api/v1/models/nobody/serving").status_code == 404


PROJECT_OF_SERVING: dict[str, Any] = {
    "name": "serving-doors",
    "title": "Serving",
    "structures": [{"name": "lv_blood_pool", "canonical": "lv_blood_pool"}],
    "sequences": [{"class": "cine-sax", "when": {"Modality": "^MR$", "phases": {"min": 2}}}],
}


@pytest.mark.usefixtures("irp")
def test_the_commands_say_it_in_words() -> None:
    run = CliRunner()
    shown = run.invoke(app, ["models", "serving", "cine", "--canary", "4:10", "--shadow", "5"])
    assert shown.exit_code == 0, shown.output
    for word in ("champion", "canary", "10 %", "shadow", "lv_blood_pool", "0.912"):
        assert word in shown.output
    listed = run.invoke(app, ["models", "loaded"])
    assert "ENGINE_DISAGREES" in listed.output.replace("\n", "")
    wrong = run.invoke(app, ["models", "serving", "cine", "--canary", "x:10"])
    assert wrong.exit_code == 2
    assert "4:10" in wrong.output
    assert run.invoke(app, ["models", "serving", "cine", "--reset"]).exit_code == 0
