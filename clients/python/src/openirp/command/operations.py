"""`irp parked` and `irp verify`: what an operator asks."""

from __future__ import annotations

from typing import Annotated

import typer

from openirp.client import Irp
from openirp.command.console import print_json, say, table
from openirp.problem import Problem

parked = typer.Typer(no_args_is_help=True, help="Facts that a room put aside because it could not handle them.")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(parked, name="parked")
    app.command()(verify)


@parked.command("list")
def list_() -> None:
    """Every parked fact of every room."""
    facts = Irp.from_environment().parked()
    rows = [(f["message_id"][:16], f["durable"], f["reason"], f["failures"], f["at"]) for f in facts]
    table(f"{len(rows)} parked", ("message", "reader", "reason", "failures", "since"), rows)


@parked.command()
def show(message: Annotated[str, typer.Argument(help="Message id, or its beginning.")]) -> None:
    """One parked fact, whole."""
    found = [fact for fact in Irp.from_environment().parked() if fact["message_id"].startswith(message)]
    if not found:
        raise Problem(404, {"title": "No parked fact has this id", "advice": "`irp parked list` shows them."})
    print_json(found)


@parked.command()
def replay(
    messages: Annotated[list[str] | None, typer.Argument(help="Message ids or beginnings; none = all.")] = None,
) -> None:
    """Hand parked facts to their handlers again."""
    client = Irp.from_environment()
    known = [fact["message_id"] for fact in client.parked()]
    chosen = [one for one in known if any(one.startswith(m) for m in messages)] if messages else known
    done = client.replay_parked(chosen) if chosen else {}
    say(f"{len(chosen)} handed over; `irp parked list` shows what comes back. {done or ''}")


def verify(
    read: Annotated[bool, typer.Option("--read", help="Read and hash every object, not only its size.")] = False,
) -> None:
    """Look for rows whose object is missing or broken; exit code 1 if there are any."""
    broken, checked = [], 0
    for line in Irp.from_environment().verify(read=read):
        if line.get("broken"):
            broken.append((line.get("room", ""), line["broken"].get("key", ""), line.get("reason", "")))
        else:
            checked += int(line.get("checked", 0))
    say(f"{checked} objects looked at, {len(broken)} missing or broken.")
    if broken:
        table("broken", ("room", "object", "reason"), broken)
        raise typer.Exit(1)
