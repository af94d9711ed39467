"""`irp report`: one page about a project; and the signed reports of what was done to uploads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from irp_kernel.errors import IrpError

from openirp.client import Irp
from openirp.command.console import not_valid, print_json, say, table
from openirp.command.images import AsJson, InProject
from openirp.report.collect import collect
from openirp.report.page import write_report

report = typer.Typer(
    invoke_without_command=True,
    help="One page about a project (no further word), or the signed reports of uploads.",
    epilog="Examples:  irp report -p study-a -o report.html  ·  irp report list -p study-a  ·  "
    "irp report verify report.json --key public-key.json",
)
MAX_FILE_BYTES = 256 << 20


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(report, name="report")


@report.callback()
def page(
    ctx: typer.Context,
    project: Annotated[str, typer.Option("--project", "-p", envvar="IRP_PROJECT", help="Project id.")] = "",
    output: Annotated[Path, typer.Option("-o", "--output", help="The page; its figures go beside it as JSON.")] = Path(
        "report.html"
    ),
) -> None:
    """One page about a project: images, quality, training, function, heat-map, provenance."""
    if ctx.invoked_subcommand:
        return
    if not project:
        raise typer.BadParameter("say the project", param_hint="--project")
    write_report(collect(Irp.from_environment().project(project)), output)
    say(f"{output} and {output.with_suffix('.json')}")


@report.command("list", epilog="Example:  irp report list -p study-a")
def list_(project: InProject, json: AsJson = False) -> None:
    """Signed reports of uploads, oldest first: those made on arrival, and those that uploaders sent."""
    found = list(Irp.from_environment().project(project).reports())
    if json:
        print_json(found)
        return
    columns = ("id", "at", "by", "site", "subject", "instances", "refused", "complete")
    table(f"{len(found)} reports", columns, [[line[column] for column in columns] for line in found])


@report.command(epilog="Example:  irp report show 0123456789abcdef0123456789abcdef -p study-a > report.json")
def show(id: Annotated[str, typer.Argument(help="Id of a report.")], project: InProject) -> None:
    """One report with its signature, as JSON."""
    print_json(Irp.from_environment().project(project).report(id))


@report.command(epilog="Example:  irp report key -p study-a > public-key.json")
def key(project: InProject) -> None:
    """The public key that checks this installation's reports; keep it beside exported data."""
    print_json(Irp.from_environment().project(project).report_key())


@report.command(epilog="Example:  irp report verify report.json --key public-key.json")
def verify(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="What `irp report show` printed, or a JWS.")
    ],
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What `irp report key` printed.")],
) -> None:
    """Check a report's signature; needs no network."""
    from irp_deid.signed import verify as check

    try:
        document = check(_jws(_text(file)), _json(_text(key)))
    except IrpError as error:
        not_valid(error.title())
        raise typer.Exit(1) from None
    actions = ", ".join(f"{count} {action}" for action, count in sorted(_actions(document).items()))
    say(
        f"Valid. {document['by']}, {document['at']}, project {document['project']}, revision {document['revision']}: "
        f"{len(document['instances'])} instances, {sum(document['refused'].values())} refused. {actions}"
    )


def _actions(document: dict[str, Any]) -> dict[str, int]:
    from irp_deid.uploads import count_actions

    return dict(count_actions(document))


def _jws(text: str) -> str:
    """The JWS of a file: itself, or the member of what the gateway answers."""
    return str(_json(text).get("jws", "")) if text.lstrip().startswith("{") else text


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise typer.BadParameter("the file is not the JSON that is asked for")
    return found


def _text(file: Path) -> str:
    if file.stat().st_size > MAX_FILE_BYTES:
        raise typer.BadParameter(f"a report has at most {MAX_FILE_BYTES} bytes")
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise typer.BadParameter("the file is not text") from None
