"""What you learn here: administrators let a reduced precision be tried, and everybody sees what its guard said."""

from __future__ import annotations

import pytest
from openirp.client import Irp
from openirp.command.app import app
from typer.testing import CliRunner

from .conftest import PROJECT, TOKEN, House


@pytest.fixture
def irp(house: House, monkeypatch: pytest.MonkeyPatch) -> Irp:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    return Irp.from_environment()


def test_a_trial_is_queued_watched_and_shown_with_its_version(house: House, irp: Irp) -> None:
    path = "/api/v1/models/cine/versions/2/precisions"
    answer = house.person().post(path, json={"precision": "int8"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["location"].endswith(f"{path}/int8")
    assert [said["state"] for said in irp.watch_precision("cine", 2, "int8")] == ["accepted"]
    judged = irp.precision("cine", 2, "int8")
    assert (judged["speedup"], judged["artefact_bytes"], judged["report"]["margin"]) == (1.4, 3_000_000, 0.002)
    version = house.person().get("/api/v1/models/cine/versions/2").json()
    assert [(said["precision"], said["state"]) for said in version["precisions"]] == [("int8", "accepted")]
    lines = [line for line in irp.http.items("/api/v1/audit") if "precision" in line["action"]]
    assert "int8" in lines[-1]["target"]


def test_a_project_may_judge(house: House, irp: Irp) -> None:
    irp.create_project(PROJECT | {"name": "judges"})
    irp.try_precision("cine", 2, "bfloat16", project="judges")
    asked = house.training.asked
    assert asked is not None
    assert (asked.project.id, asked.precision, asked.actor) == ("judges", "bfloat16", "bootstrap-admin")
    irp.try_precision("cine", 2, "bfloat16")
    assert house.training.asked is not None
    assert not house.training.asked.HasField("project")


@pytest.mark.parametrize("body", [{"precision": "float32"}, {"precision": "int4"}, {}, {"precision": "int8", "x": 1}])
def test_what_is_no_reduced_precision_is_refused(house: House, body: dict[str, object]) -> None:
    assert house.person().post("/api/v1/models/cine/versions/2/precisions", json=body).status_code == 422


def test_the_command_waits_and_its_exit_code_says_whether_it_may_serve(house: House, irp: Irp) -> None:
    run = CliRunner().invoke
    assert run(app, ["models", "precision", "cine", "int8"]).exit_code == 2
    assert run(app, ["models", "precision", "cine@2", "int8"]).exit_code == 0  # only queued
    accepted = run(app, ["models", "precision", "cine@2", "int8", "--wait"])
    assert accepted.exit_code == 0
    assert "lv_myocardium" in accepted.output
    assert "accepted" in accepted.output
    house.training.refuses = "bfloat16"
    assert run(app, ["models", "precision", "cine@2", "bfloat16", "--wait"]).exit_code == 1
