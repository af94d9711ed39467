"""`irp parked` and `irp verify`: what an operator asks."""

from __future__ import annotations

from typing import Annotated, Any

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
    columns = ("room", "message_id", "durable", "reason", "failures", "at")
    rows = [[str(fact.get(column, ""))[:40] for column in columns] for fact in facts]
    table(f"{len(rows)} parked", columns, rows)


@parked.command()
def show(message: Annotated[str, typer.Argument(help="Message id, or its beginning.")]) -> None:
    """One parked fact, whole."""
    print_json(_matching([message]))


@parked.command()
def replay(
    messages: Annotated[list[str] | None, typer.Argument(help="Message ids or beginnings; none = all.")] = None,
) -> None:
    """Hand parked facts to their handlers again."""
    client = Irp.from_environment()
    if not messages:
        say(f"Handed over: {client.replay_parked()}")
        return
    for fact in _matching(messages):
        client.replay_parked(fact["message_id"], fact["room"])
        say(f"Handed over: {fact['message_id'][:16]} in {fact['room']}")


def _matching(beginnings: list[str]) -> list[dict[str, Any]]:
    facts = [fact for fact in Irp.from_environment().parked() if "message_id" in fact]
    found = [fact for fact in facts if any(fact["message_id"].startswith(one) for one in beginnings)]
    if not found:
        raise Problem(404, {"title": "No parked fact has this id", "advice": "`irp parked list` shows them."})
    return found


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
