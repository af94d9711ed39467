"""`irp models push` and `irp models report`: a bundle is looked through, tried out, registered, judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from openirp.client import Irp
from openirp.command.console import drawn, model_of, say, table

EXAMPLES = """Examples:

irp models push my_net.zip --name cine --wait  -  register it, and stay until it is judged beside the champion

irp models push my_net.zip --dry-run  -  only look through it: nothing is registered

irp models push my_net.zip --name cine --project heart --wait  -  judge it on your own accepted masks"""
REPORT_EXAMPLES = """Examples:

irp models report cine@3  -  what was found of it

irp models report cine@1 --project heart --wait  -  judge it on your own accepted masks"""
TICKS = {"passed": ("✓", "green"), "noted": ("•", "yellow"), "failed": ("✗", "red")}
Judge = Annotated[str, typer.Option(help="Judge on this project's accepted masks (split `validation`).")]
Wait = Annotated[bool, typer.Option("--wait", help="Stay until it is judged.")]


def register(app: typer.Typer) -> None:
    """Hang the commands below `irp models`."""
    app.command(epilog=EXAMPLES)(push)
    app.command(epilog=REPORT_EXAMPLES)(report)


def push(
    bundle: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="MONAI bundle as ZIP.")],
    name: Annotated[str | None, typer.Option(help="Model name (default: the file's name).", show_default=False)] = None,
    project: Judge = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Look through it, register nothing.")] = False,
    wait: Wait = False,
) -> None:
    """Register a bundle as a new version, once a sandbox has looked through it. Exit code 1 if it is not taken."""
    irp = Irp.from_environment()
    if dry_run:
        found = irp.try_model(bundle.read_bytes())
        _show_checks(found)
        say("It would be taken." if found["passed"] else "It would not be taken.")
        raise typer.Exit(0 if found["passed"] else 1)
    model = irp.push_model(bundle.read_bytes(), name or bundle.stem, project=project)
    say(f"{model['name']}@{model['version']}  {model['digest'][:12]}")
    _show(irp, irp.report(model["name"], model["version"]), wait)


def report(
    model: Annotated[str, typer.Argument(metavar="NAME@VERSION")], project: Judge = "", wait: Wait = False
) -> None:
    """What was found of a version: its bundle, and its Dice beside the champion's. Exit code 1 if that failed."""
    name, version = model_of(model)
    irp = Irp.from_environment()
    _show(irp, irp.ask_report(name, version, project=project) if project else irp.report(name, version), wait)


def _show(irp: Irp, said: dict[str, Any], wait: bool) -> None:
    if wait:
        said = drawn(irp.watch_report(said["name"], said["version"]))
    if said["inspection"]:
        _show_checks(said["inspection"])
    _show_benchmark(said)
    if said["state"] == "failed":
        raise typer.Exit(1)


def _show_checks(inspection: dict[str, Any]) -> None:
    for check in inspection["checks"]:
        say(Text.assemble(TICKS.get(check["state"], " "), f" {check['name']}: {check['says']}"))


def _show_benchmark(said: dict[str, Any]) -> None:
    found = said["benchmark"]
    if not found:
        say(f"Not judged: {said['message'] or said['reason'] or said['state']}.")
        return
    columns = ("structure", "cases", "Dice", "least", found["champion"] or "no champion", "difference")
    keys = ("structure", "cases", "dice", "least", "champion", "difference")
    rows = [tuple("" if row[key] is None else row[key] for key in keys) for row in found["structures"]]
    table(f"{said['name']}@{said['version']} on {found['patients']} patients", columns, rows)
    say(f"Learnt from these patients: {found['learnt_from_them']}.")
    if left_out := found.get("left_out"):
        say(f"Not compared: {left_out} cases that it or {found['champion']} has learnt from.")
