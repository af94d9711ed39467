"""`irp containers`: algorithms that keep the contract of Grand Challenge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import drawn, print_json, say, table, version_of
from openirp.command.images import InProject

app = typer.Typer(no_args_is_help=True, help="Algorithms as containers (Grand Challenge), and what they propose.")

Waiting = Annotated[bool, typer.Option("--wait", help="Stay until it has ended.")]
PUSH = """Examples:

docker save my-algorithm > heart.tar

irp containers push heart.tar --sockets sockets.json --wait

irp containers push heart.tar --sockets sockets.json --reference registry.local/heart@sha256:...  -  for a cluster"""


@app.command(epilog=PUSH)
def push(
    archive: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Archive of one image.")],
    sockets: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="JSON: inputs, outputs, labels, limits.")],
    name: Annotated[str | None, typer.Option(help="Name (default: the file's name).", show_default=False)] = None,
    model: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Weights as tar, for /opt/ml/model.", show_default=False),
    ] = None,
    reference: Annotated[str, typer.Option(help="Where a cluster pulls the same image from, by digest.")] = "",
    licence: Annotated[str, typer.Option(help="Of the algorithm.")] = "",
    wait: Waiting = False,
) -> None:
    """Push a container; it is tried on a phantom before it is accepted. Exit code 1 if it is not."""
    declared = _declared(sockets)
    irp = Irp.from_environment().containers
    said = irp.push(archive, name or archive.stem, declared, model=model, reference=reference, licence=licence)
    if wait:
        said = drawn(irp.watch(said["name"], said["version"]))
    _conclude(said)


@app.command("list")
def list_() -> None:
    """Every version, and whether it was accepted."""
    rows = [
        (
            c["name"],
            c["version"],
            c["state"],
            str(c["promoted_at"])[:16],
            c["image"][:12],
            ", ".join(_structures(c)),
            str(c["created_at"])[:16],
        )
        for c in Irp.from_environment().containers.versions()
    ]
    table("containers", ("name", "version", "state", "promoted", "image", "structures", "since"), rows)


@app.command(epilog="Example:  irp containers show heart@1")
def show(
    container: Annotated[str, typer.Argument(metavar="NAME@VERSION")],
    as_json: Annotated[bool, typer.Option("--json", help="With the declaration.")] = False,
) -> None:
    """The report of a version's conformance test. Exit code 1 if it was not accepted."""
    name, version = version_of(container)
    said = Irp.from_environment().containers.get(name, version)
    if as_json:
        print_json(said)
        return
    _conclude(said)


@app.command(epilog="Example:  irp containers promote heart@1")
def promote(container: Annotated[str, typer.Argument(metavar="NAME@VERSION")]) -> None:
    """Make a version the one that its bare name means, in runs and in `automation.containers` of projects."""
    name, version = version_of(container)
    said = Irp.from_environment().containers.promote(name, version)
    say(f"{said['name']} is {said['name']}@{said['version']} from now on.")


@app.command(epilog="Example:  irp containers run heart 1.2.3 -p study-a --wait")
def run(
    container: Annotated[str, typer.Argument(metavar="NAME[@VERSION]")],
    series: Annotated[str, typer.Argument(help="De-identified SeriesInstanceUID.")],
    project: InProject,
    wait: Waiting = False,
) -> None:
    """Let a container segment a series; its mask comes back as a proposal. Exit code 1 if it failed."""
    irp = Irp.from_environment().containers
    said = irp.run(project, container, series)
    if wait:
        said = drawn(irp.watch_run(project, said["id"]))
    words = [f"{said['container']} on {said['series']}: {said['state']}", said["message"] or said["reason"]]
    say(". ".join(filter(None, [*words, said["said"] and f"It said: {said['said']}"])) + ".")
    if said["state"] == "failed":
        raise typer.Exit(1)


def _declared(path: Path) -> dict[str, Any]:
    try:
        declared = json.loads(path.read_text())
    except ValueError as error:
        raise typer.BadParameter(f"{path} is not JSON: {error}") from None
    if not isinstance(declared, dict):
        raise typer.BadParameter(f"{path} must hold an object with inputs, outputs and labels")
    return declared


def _structures(said: dict[str, Any]) -> list[str]:
    return sorted(set(said["sockets"].get("labels", {}).values()))


def _conclude(said: dict[str, Any]) -> None:
    checks = said["report"].get("checks", [])
    if checks:
        rows = [("yes" if check["passed"] else "no", check["name"], check["detail"]) for check in checks]
        table(f"{said['name']}@{said['version']}", ("passed", "check", ""), rows)
    words = [f"{said['name']}@{said['version']}: {said['state']}", said["message"] or said["reason"]]
    if last := said["report"].get("said"):
        words.append(f"It said: {last}")
    say(". ".join(filter(None, words)) + ".")
    if said["state"] in {"refused", "failed"}:
        raise typer.Exit(1)
