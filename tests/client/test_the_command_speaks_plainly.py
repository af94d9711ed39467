"""What you learn here: whatever others wrote is shown as it is, and a wrong word ends with words, not a traceback."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer
from openirp.command import console, containers
from openirp.command.app import app
from rich.console import Console
from rich.markup import render
from rich.text import Text
from typer.testing import CliRunner

WROTE = "wrote [/output/images] [bold]"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    heard = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=heard, width=200, highlight=False))
    monkeypatch.setattr(console, "out", Console(file=heard, width=200, highlight=False))
    return heard


def test_a_container_s_last_line_is_shown_as_it_was_written(heard: io.StringIO) -> None:
    said = {"name": "heart", "version": 1, "state": "accepted", "message": "", "reason": ""}
    containers._conclude(said | {"report": {"said": WROTE}})
    assert f"heart@1: accepted. It said: {WROTE}." in heard.getvalue()


def test_titles_and_steps_of_others_are_shown_as_they_are(heard: io.StringIO) -> None:
    console.table(WROTE, (WROTE,), [(WROTE,)])
    console.say(Text.assemble(("Note:", "yellow"), f" {WROTE}"))
    console.drawn(iter([{"progress": {"fraction": 1.0, "eta_s": None, "step": WROTE}}]))
    assert heard.getvalue().count(WROTE) >= 4


def options(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """Every help text that the command shows, with its place."""
    yield " ".join(words), command.help or ""
    for parameter in command.params:
        yield f"{' '.join(words)} {parameter.name}", str(getattr(parameter, "help", None) or "")
    for name, below in getattr(command, "commands", {}).items():
        yield from options(below, (*words, name))


def test_no_word_of_a_help_text_is_taken_for_markup() -> None:
    found = dict(options(typer.main.get_command(app)))
    assert len(found) > 100
    assert {place: text for place, text in found.items() if render(text).plain != text} == {}
    shown = CliRunner().invoke(app, ["containers", "push", "--help"], env={"COLUMNS": "200"}).stdout
    assert "(default: the file's name)" in shown


def test_every_group_of_commands_stands_once() -> None:
    names = [group.name for group in app.registered_groups]
    assert sorted(names, key=str) == sorted(set(names), key=str)


@pytest.mark.parametrize("recipe", ["notjson", "[1]"])
def test_a_recipe_that_is_no_json_object_is_wrong_usage(recipe: str) -> None:
    run = CliRunner().invoke(app, ["train", "start", "-p", "p", "--recipe", recipe])
    assert (run.exit_code, "recipe" in run.output) == (2, True)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("it is neither YAML nor JSON"), "neither YAML nor JSON"),
        (IsADirectoryError(21, "Is a directory", "scans"), "scans"),
        (PermissionError(13, "Permission denied", "scans"), "scans"),
    ],
)
def test_what_a_person_gave_and_cannot_be_used_ends_with_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception, words: str, tmp_path: Path
) -> None:
    def unusable() -> None:
        raise error

    monkeypatch.setattr("openirp.client.Irp.from_environment", unusable)
    run = CliRunner().invoke(app, ["project", "list"])
    assert (run.exit_code, words in run.output) == (2, True), run.output
    assert isinstance(run.exception, SystemExit)
