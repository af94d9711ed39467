"""`irp project`: create, list, show, configure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from openirp.client import Irp
from openirp.command.console import print_json, say, table
from openirp.documents import read_file, template, template_text

app = typer.Typer(no_args_is_help=True, help="Projects and their configuration.")


@app.command(epilog="Example:  irp project create study-a --template myocarditis")
def create(
    name: Annotated[str, typer.Argument(help="Slug: the project's id.")],
    from_template: Annotated[str | None, typer.Option("--template", help="myocarditis")] = None,
    config: Annotated[Path | None, typer.Option(help="Your configuration document (YAML or JSON).")] = None,
) -> None:
    """Create a project from a template or a file."""
    if (from_template is None) == (config is None):
        raise typer.BadParameter("say either --template NAME or --config FILE")
    document = _document(from_template, config)
    project = Irp.from_environment().create_project({**document, "name": name})
    next_one = f" is there. Next: irp upload FOLDER --project {project.name}"
    say(Text.assemble("Project ", (project.name, "bold"), next_one))


@app.command("list")
def list_() -> None:
    """Projects you are a member of."""
    rows = [(p["name"], p["title"], p["revision"]) for p in Irp.from_environment().projects()]
    table("projects", ("name", "title", "revision"), rows)


@app.command()
def show(name: Annotated[str, typer.Argument(help="Project id.")]) -> None:
    """The configuration document at its newest revision."""
    print_json(Irp.from_environment().project(name).configuration())


@app.command()
def configure(
    name: Annotated[str, typer.Argument(help="Project id.")],
    config: Annotated[Path, typer.Option(help="The new configuration document (YAML or JSON).")],
) -> None:
    """Give the project a new configuration revision."""
    answer = Irp.from_environment().project(name).configure({**_document(None, config), "name": name})
    say(f"Revision {answer.get('revision', '')} holds from now on.")


@app.command("template", epilog="Example:  irp project template myocarditis > mine.yaml")
def print_template(name: Annotated[str, typer.Argument(help="myocarditis")] = "myocarditis") -> None:
    """Print a configuration document that works, with comments."""
    try:
        typer.echo(template_text(name), nl=False)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _document(name: str | None, file: Path | None) -> dict[str, Any]:
    try:
        return template(name) if name else read_file(file or Path())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
