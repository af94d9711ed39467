"""All commands, and the one place where trouble becomes words and an exit code.

Exit codes: 0 done, 1 refused (the problem is printed), 2 wrong usage, 3 nothing answers, or not yet,
4 the house is in trouble.
"""

from __future__ import annotations

import importlib.metadata
from typing import Annotated, Any

import typer
import typer.core

from openirp.command import (
    algorithms,
    challenges,
    containers,
    datasets,
    deid,
    delete,
    demo,
    evidence,
    house,
    images,
    import_image,
    inference,
    masks,
    models,
    operations,
    precision,
    projects,
    push,
    quarantine,
    registry,
    report,
    runs,
    serving,
    training,
    upload,
    validation,
)
from openirp.command.console import complain
from openirp.house.trouble import HouseTrouble
from openirp.problem import Problem

FILES: dict[type[OSError], str] = {
    FileNotFoundError: "No such file or folder",
    IsADirectoryError: "It is a folder, not a file",
    NotADirectoryError: "It is a file, not a folder",
    PermissionError: "It may not be read or written",
}


class PlainWords(typer.core.TyperGroup):
    """Turns the SDK's and the house's exceptions into plain words."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; refusals end with words, not with a traceback."""
        try:
            return super().invoke(ctx)
        except Problem as problem:
            where = f"trace {problem.trace_id}" if problem.trace_id else ""
            complain(problem.title, problem.detail, problem.advice, where)
            raise typer.Exit(1 if problem.status else 3) from None
        except HouseTrouble as trouble:
            complain(str(trouble), "", trouble.advice, "")
            raise typer.Exit(4) from None
        except tuple(FILES) as error:
            complain(FILES[type(error)], str(error.filename or error), "", "")
            raise typer.Exit(2) from None
        except ValueError as error:  # of a file or an option; the house's own answers are read by the SDK
            complain("That cannot be used", str(error), "", type(error).__name__)
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=PlainWords,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    add_completion=False,
    help="OpenIRP: images in, expert masks, models that learn from them, and evidence out.",
    epilog="Begin with [bold]irp demo[/bold], or [bold]irp up --detach[/bold] and [bold]irp project create[/bold].",
)


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if version:
        typer.echo(f"irp {importlib.metadata.version('openirp')}")
        raise typer.Exit


for group in (
    house,
    demo,
    upload,
    import_image,
    images,
    delete,
    quarantine,
    deid,
    masks,
    algorithms,
    evidence,
    report,
    operations,
):
    group.register(app)
for name, commands in (
    ("project", projects),
    ("train", training),
    ("runs", runs),
    ("datasets", datasets),
    ("models", models),
    ("inference", inference),
):
    app.add_typer(commands.app, name=name)
app.add_typer(containers.app, name="containers")
app.add_typer(challenges.app, name="challenges")
serving.register(models.app)
precision.register(models.app)
push.register(models.app)
validation.register(models.app)
registry.register(models.app)
