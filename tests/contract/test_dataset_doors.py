"""What you learn here: datasets are frozen by rules, looked into, and named by runs; the policy says what lacks."""

from __future__ import annotations

from pathlib import Path

import pytest
from openirp.client import Irp
from openirp.command.app import app
from openirp.problem import Problem
from openirp.project import Project
from typer.testing import CliRunner

from .conftest import PROJECT, TOKEN, House
from .fake_datasets import DIGEST

NAME = "freezes"


@pytest.fixture
def project(house: House, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    irp = Irp.from_environment()
    try:
        return irp.create_project(PROJECT | {"name": NAME})
    except Problem:  # another test made it
        return irp.project(NAME)


def test_a_dataset_is_frozen_by_rules_and_found_at_its_location(house: House, project: Project) -> None:
    answer = house.person().post(f"{project.path}/datasets", json={"rules": {"verdicts": ["good"], "sites": ["s"]}})
    assert (answer.status_code, answer.json()["digest"]) == (201, DIGEST)
    assert answer.headers["location"].endswith(f"{project.path}/datasets/{DIGEST}")
    asked = house.training.frozen
    assert asked is not None
    assert (list(asked.rules.verdicts), list(asked.rules.sites), asked.actor) == (["good"], ["s"], "bootstrap-admin")
    old, new = project.datasets.list()
    assert (old["rules"], old["training"]) == ({}, {"series": 2, "patients": None})
    assert (new["training"], new["test"]) == ({"series": 3, "patients": 2}, {"series": 0, "patients": 0})
    assert new["rules"]["structures"] == ["lv_myocardium"]


def test_a_dataset_says_what_it_consists_of_and_brings_its_sheet(house: House, project: Project) -> None:
    found = project.datasets.get(DIGEST[:8])
    assert found["composition"][0]["scanner"] == "SIEMENS Avanto 1.5 T"
    assert found["composition"][0]["judged"] == {"lv_blood_pool": 30}
    answer = house.person().get(f"{project.path}/datasets/{DIGEST}/sheet")
    assert answer.headers["content-type"].startswith("text/markdown")
    assert answer.text.startswith("# Data sheet")
    with pytest.raises(Problem) as refused:
        project.datasets.get("f" * 8)
    assert (refused.value.status, refused.value.reason) == (404, "DATASET_UNKNOWN")


@pytest.mark.parametrize(
    "rules", [{"verdicts": ["superb"]}, {"least_certainty": 4}, {"structures": ["liver"]}, {"colour": "red"}]
)
def test_rules_that_nobody_knows_are_refused(house: House, project: Project, rules: dict[str, object]) -> None:
    assert house.person().post(f"{project.path}/datasets", json={"rules": rules}).status_code == 422


def test_a_run_may_name_the_dataset_that_it_learns_from(house: House, project: Project) -> None:
    project.start_run("cine", dataset=DIGEST[:12])
    assert house.training.started is not None
    assert house.training.started.dataset_digest == DIGEST[:12]
    body = {"model": "cine", "include": {"least_certainty": 2}}
    assert house.person().post(f"{project.path}/training/runs", json=body).status_code == 202
    assert house.training.started.rules.least_certainty == 2
    bad = {"model": "cine", "dataset": "newest"}
    assert house.person().post(f"{project.path}/training/runs", json=bad).status_code == 422


def test_the_policy_says_when_next_and_how_many_masks_are_missing(project: Project) -> None:
    said = project.training_policy()
    assert (said["masks_missing"], said["next_at"], said["paused"]) == (2, "2026-11-28T02:30:00+00:00", False)


def test_the_commands_list_freeze_show_and_write_the_sheet(house: House, project: Project, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        result = CliRunner().invoke(app, [*words, "-p", NAME])
        assert result.exit_code == 0, result.output
        return result.output

    assert "3 (2)" in run("datasets", "list")
    assert "2 (-)" in run("datasets", "list")
    assert DIGEST[:12] in run("datasets", "freeze", "--verdict", "good", "--certainty", "2")
    assert house.training.frozen is not None
    assert house.training.frozen.rules.least_certainty == 2
    shown = run("datasets", "show", DIGEST[:8])
    assert "Avanto" in shown
    assert "structures lv_myocardium" in shown
    assert '"composition"' in run("datasets", "show", DIGEST[:8], "--json")
    assert "# Data sheet" in run("datasets", "sheet", DIGEST[:8])
    run("datasets", "sheet", DIGEST[:8], "-o", str(tmp_path / "sheet.md"))
    assert (tmp_path / "sheet.md").read_text().startswith("# Data sheet")
    policy = run("train", "policy")
    assert "02:30" in policy
    assert "cine" in policy
    house.training.learns = ""
    assert "no model is named" in " ".join(run("train", "policy").split())


def test_a_pause_is_a_new_revision_and_so_is_its_end(project: Project) -> None:
    def pause(*words: str) -> int:
        return CliRunner().invoke(app, ["train", "pause", "-p", NAME, *words]).exit_code

    assert pause() == 1  # nothing is declared yet
    train = {"model": "cine", "daily_at": "02:30"}
    project.configure(PROJECT | {"name": NAME, "automation": {"train": train}})
    for words, paused in (((), True), (("--off",), False)):
        assert pause(*words) == 0
        said = project.configuration()["automation"]["train"]
        assert (said["paused"], said["daily_at"], said["after_masks"]) == (paused, "02:30", None)
