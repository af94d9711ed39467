"""`irp models`: the registry."""

from __future__ import annotations

import typer

from openirp.client import Irp
from openirp.command.console import say, table

app = typer.Typer(no_args_is_help=True, help="The model registry.")


@app.command("list")
def list_() -> None:
    """Every version, its champion, the reduced precisions that its guard accepted, and its licence."""
    rows = []
    for m in Irp.from_environment().models():
        champion = "champion" if m.get("champion") else ""
        also = " ".join(said["precision"] for said in m.get("precisions", []) if said["state"] == "accepted")
        since = str(m["created_at"])[:16]
        rows.append((m["name"], m["version"], champion, m["digest"][:12], since, also, m.get("licence")))
    table("models", ("name", "version", "", "digest", "since", "also in", "licence of the weights"), rows)


@app.command()
def promote(name: str, version: int) -> None:
    """Make a version the champion, if the gate allows."""
    Irp.from_environment().promote_model(name, version)
    say(f"{name}@{version} is the champion.")


@app.command()
def rollback(name: str) -> None:
    """Make the previous champion the champion again."""
    model = Irp.from_environment().rollback_model(name)
    say(f"{name}@{model.get('version')} is the champion again.")
