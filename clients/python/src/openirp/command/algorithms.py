"""`irp algorithms`: the conventional methods of /segment."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import print_json, table


def register(app: typer.Typer) -> None:
    """Hang the command on the app."""
    app.command(epilog="Examples:  irp algorithms  ·  irp algorithms --json | jq '.[].name'")(algorithms)


def algorithms(
    as_json: Annotated[bool, typer.Option("--json", help="With what each parameter means.")] = False,
) -> None:
    """Methods that segment by marks, without a model: what they find, the marks they take, and their parameters."""
    found = Irp.from_environment().algorithms()
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one["name"],
            one["finds"],
            one["marks"],
            "volume" if one["volume"] else "",
            "; ".join(_parameter(said) for said in one["parameters"]),
        )
        for one in found
    ]
    table("methods", ("name", "finds", "marks", "across slices", "parameters (default; from to)"), rows)


def _parameter(said: dict[str, Any]) -> str:
    """`tolerance (3; 0.1 to 100)`."""
    default = "found out" if said["default"] is None else json.dumps(said["default"]).removesuffix(".0")
    if said["choices"]:
        return f"{said['name']} ({default}; {' or '.join(f'{value:g}' for value in said['choices'])})"
    if said["range"]:
        low, high = said["range"]
        return f"{said['name']} ({default}; {low:g} to {high:g})"
    return f"{said['name']} ({default})"
