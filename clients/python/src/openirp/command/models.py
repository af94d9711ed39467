"""`irp models`: the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from openirp.client import Irp
from openirp.command.console import drawn, print_json, say, table
from openirp.command.serving import Version
from openirp.command.verdict import show_verdict

app = typer.Typer(no_args_is_help=True, help="The model registry.")


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="All that is known, digests whole.")] = False) -> None:
    """Every version with the names it has now, the reduced precisions that its guard accepted, and its licence."""
    models, rows = Irp.from_environment().models(), []
    if as_json:
        print_json(models)
        return
    for m in models:
        names = " ".join([*m.get("aliases", []), *(["waits"] if m.get("pending") else [])])
        also = " ".join(said["precision"] for said in m.get("precisions", []) if said["state"] == "accepted")
        since = str(m["created_at"])[:16]
        rows.append((m["name"], m["version"], names, m["digest"][:12], since, also, m.get("licence")))
    table("models", ("name", "version", "", "digest", "since", "also in", "licence of the weights"), rows)


@app.command(epilog="Examples:  irp models promote cine 4  ·  irp models promote cine candidate")
def promote(
    name: str,
    version: Version,
) -> None:
    """Make a version the champion, if the gate allows; where two have to agree it waits for `irp models approve`."""
    model = drawn(Irp.from_environment().watch_promotion(name, version))
    show_verdict(f"{name}@{model['version']} before the gate", model["gate"])
    waits = model.get("state") == "pending"
    said = f"waits: somebody else has to say `irp models approve {name} {model['version']}`" if waits else ""
    say(f"{name}@{model['version']} {said or 'is the champion'}.")


@app.command(epilog="Example:  irp models rollback cine --because 'more corrections than before'")
def rollback(
    name: str,
    because: Annotated[str, typer.Option("--because", help="Why, for the history; no patient data.")] = "",
) -> None:
    """Make the previous champion the champion again."""
    model = Irp.from_environment().rollback_model(name, because)
    say(f"{name}@{model.get('version')} is the champion again.")
