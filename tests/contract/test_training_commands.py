"""What you learn here: the queue of runs from the command line: who is next, what was chosen, how to stop one."""

from __future__ import annotations

import pytest
from openirp.command.app import app
from openirp.command.console import flowing, show_run
from typer.testing import CliRunner

from .conftest import TOKEN, House


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs", "priority", "-p", "shared", "run-1", "7"], "run-1 has priority 7. 2 before it."),
        (["runs", "cancel", "-p", "shared", "run-1"], "run-1 is cancelled"),
        (["train", "start", "-p", "shared", "--priority", "-5"], "run-1 is queued"),
        (["train", "list", "-p", "shared"], "priority"),
        (["runs", "plan", "-p", "shared", "run-1"], "window │ 2.6 │ Hearts fit."),
        (["runs", "plan", "-p", "shared", "run-1", "--json"], '"fingerprint": { "series": 3 }'),
    ],
)
@pytest.mark.usefixtures("project")
def test_runs_are_started_moved_stopped_listed_and_explained(
    house: House, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0, answer.output
    assert said in " ".join(answer.output.split())


def test_a_priority_beyond_the_range_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["runs", "priority", "-p", "shared", "run-1", "101"]).exit_code == 2


def test_a_run_that_learns_shows_how_far_its_borders_are_off_where_that_is_known() -> None:
    values = {"segment_loss": 0.5, "val_dice_lv_myocardium": 0.81, "val_hd95_mm_lv_myocardium": 4.26}
    values |= {"val_hd95_mm_lv_myocardium_low": 3.0, "val_dice_lv_blood_pool": 0.9, "cpu_cores": 1.0}
    bar = flowing()
    task = bar.add_task("", total=1.0)
    metrics = [{"name": name, "value": value, "epoch": 1} for name, value in values.items()]
    show_run(bar, task, {"metrics": metrics, "progress": {"step": "segment", "fraction": 0.5}})
    shown = bar.tasks[0].description
    assert shown == "  segment  blood pool 0.900  loss 0.500  myocardium 0.810 (4.3 mm)"
