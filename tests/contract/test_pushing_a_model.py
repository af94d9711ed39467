"""What you learn here: administrators push bundles, or only try them; everybody sees what was found of a version."""

from __future__ import annotations

from pathlib import Path

import pytest
from openirp.client import Irp
from openirp.command.app import app
from typer.testing import CliRunner

from .conftest import PROJECT, TOKEN, House

run = CliRunner().invoke


@pytest.fixture
def irp(house: House, monkeypatch: pytest.MonkeyPatch) -> Irp:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    return Irp.from_environment()


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    path = tmp_path / "cine.zip"
    path.write_bytes(b"PK a bundle")
    return str(path)


def test_a_bundle_is_tried_and_nothing_is_registered(house: House, irp: Irp, bundle: str) -> None:
    said = irp.try_model(b"PK a bundle")
    assert (said["passed"], said["checks"][0]["name"], said["details"]) == (True, "archive", {"archive": {"count": 5}})
    assert house.training.header.dry_run
    assert run(app, ["models", "push", bundle, "--dry-run"]).exit_code == 0
    Path(bundle).write_bytes(b"no bundle")
    refused = run(app, ["models", "push", bundle, "--dry-run"])
    assert refused.exit_code == 1
    assert "BUNDLE_BROKEN: the bundle is not a readable ZIP" in refused.output


def test_a_version_has_a_report_that_a_project_may_ask_for(house: House, irp: Irp) -> None:
    irp.create_project(PROJECT | {"name": "judging"})
    path = "/api/v1/models/cine/versions/2/report"
    answer = house.person().post(path, json={"project": "judging"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["location"].endswith(path)
    asked = house.training.asked_report
    assert asked is not None
    assert (asked.project.id, asked.name, asked.version) == ("judging", "cine", 2)
    assert [said["state"] for said in irp.watch_report("cine", 2)] == ["ended"]
    found = irp.report("cine", 2)
    assert (found["benchmark"]["patients"], found["inspection"]["passed"]) == (4, True)
    assert house.person().post(path, json={"version": 1}).status_code == 422


def test_the_command_pushes_waits_and_shows_the_champion_beside(house: House, irp: Irp, bundle: str) -> None:
    irp.create_project(PROJECT | {"name": "beside"})
    pushed = run(app, ["models", "push", bundle, "--project", "beside", "--wait"])
    assert pushed.exit_code == 0
    assert (house.training.header.name, house.training.header.project.id) == ("cine", "beside")
    for words in ("cine@2", "archive: 5 files [of all]", "lv_myocardium", "cine@1", "not known"):
        assert words in pushed.output
    assert run(app, ["models", "report", "cine"]).exit_code == 2
    assert run(app, ["models", "report", "cine@2", "--project", "beside"]).exit_code == 0
    house.training.failed = True
    failed = run(app, ["models", "report", "cine@2", "--wait"])
    assert failed.exit_code == 1
    assert "INSPECTION_TOO_LONG" in failed.output
    house.training.failed = False
