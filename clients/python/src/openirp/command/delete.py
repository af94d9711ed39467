"""`irp series delete`, `irp study delete`: images leave, if nothing refers to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from openirp.client import Irp
from openirp.command.console import say, table
from openirp.command.images import InProject, series
from openirp.problem import Problem

study = typer.Typer(no_args_is_help=True, help="Studies of a project.")
COLUMNS = ("room", "kind", "id", "state", "series_uid")
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(study, name="study")


@series.command("delete", epilog="Example:  irp series delete 2.25.123 -p study-a")
def delete_series(series_uid: str, project: InProject, yes: Yes = False) -> None:
    """Delete a series with its images, for good; refused if anything refers to it. Owners only."""
    _delete(f"series {series_uid}", lambda: Irp.from_environment().project(project).delete_series(series_uid), yes)


@study.command("delete", epilog="Example:  irp study delete 2.25.7 -p study-a --yes")
def delete_study(study_uid: str, project: InProject, yes: Yes = False) -> None:
    """Delete a study with its series and images, for good; refused if anything refers to one. Owners only."""
    _delete(f"study {study_uid}", lambda: Irp.from_environment().project(project).delete_study(study_uid), yes)


def _delete(what: str, delete: Callable[[], None], yes: bool) -> None:
    if not yes:
        typer.confirm(f"Delete {what} with all its images? They cannot be brought back.", abort=True)
    try:
        delete()
    except Problem as problem:
        references = problem.body.get("references") or []
        if references:
            title = f"{problem.body['count']} refer to it"
            table(title, COLUMNS, [[one[column] for column in COLUMNS] for one in references])
        raise
    say(f"{what} is deleted")
