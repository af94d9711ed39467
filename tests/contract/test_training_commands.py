"""What you learn here: the queue of runs from the command line: who is next, what was chosen, how to stop one."""

from __future__ import annotations

import pytest
from openirp.command.app import app
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
