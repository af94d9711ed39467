"""`irp quarantine`: instances that may name somebody; a curator looks and decides."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import print_json, say, table
from openirp.command.images import AsJson, InProject
from openirp.problem import Problem

quarantine = typer.Typer(
    no_args_is_help=True,
    help="Instances that may name somebody: look at them, and release, mask or discard them.",
    epilog="Examples:  irp quarantine list -p study-a  ·  irp quarantine show 2.25.7 -o preview.png -p study-a  ·  "
    "irp quarantine mask 2.25.7 --region 0,0,640,32 -p study-a",
)
COLUMNS = ("id", "arrived_at", "modality", "kind", "size", "reason", "state", "decided_by")
UNDER_WAY = frozenset({"releasing", "masking", "discarding"})
PATIENCE_S, PAUSE_S = 60.0, 0.25  # for a decision to be carried out
Id = Annotated[str, typer.Argument(help="Id, as `irp quarantine list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(quarantine, name="quarantine")


@quarantine.command("list", epilog="Example:  irp quarantine list -p study-a --state all")
def list_(
    project: InProject,
    state: Annotated[
        str, typer.Option(help="waiting, releasing, masking, discarding, released, masked, discarded, or all.")
    ] = "waiting",
    json: AsJson = False,
) -> None:
    """What waits for a decision, oldest first; or what was decided, by whom."""
    found = Irp.from_environment().project(project).quarantine(state)
    if json:
        print_json(found)
        return
    rows = [[_size(one) if column == "size" else one[column] for column in COLUMNS] for one in found]
    table(f"{len(found)} in quarantine ({state})", COLUMNS, rows)


def _size(one: dict[str, Any]) -> str:
    return f"{one['columns']}x{one['rows']}x{one['frames']}" if one["rows"] else "-"


@quarantine.command(epilog="Example:  irp quarantine show 2.25.7 -o preview.png --frame 12 -p study-a")
def show(
    id: Id,
    project: InProject,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where to write it.")] = Path("preview.png"),
    frame: Annotated[int, typer.Option(min=0, help="Of an image, from 1; 0 = the middle one.")] = 0,
) -> None:
    """Write what has to be looked at: a frame as PNG, a report's text, or a document as it is.

    It may show who the patient is: remove the file afterwards. Who looked stands in the audit log.
    """
    content, media_type = Irp.from_environment().project(project).look(id, frame)
    output.touch(mode=0o600)
    output.chmod(0o600)  # also if it was there; before anything is written
    output.write_bytes(content)
    say(f"{output} ({media_type}, {len(content)} bytes)   It may show who the patient is: remove it afterwards.")


@quarantine.command(epilog="Example:  irp quarantine release 2.25.7 -p study-a")
def release(id: Id, project: InProject) -> None:
    """Nothing in it names anybody: it is stored like any instance."""
    _decide(project, id, "release")


@quarantine.command(
    epilog="Example:  irp quarantine mask 2.25.7 --region 0,0,640,32 --region 500,400,140,80 -p study-a"
)
def mask(
    id: Id,
    project: InProject,
    region: Annotated[
        list[str], typer.Option("--region", help="x,y,width,height in pixels from the upper left; may be repeated.")
    ],
) -> None:
    """Black regions out in every frame, and store the rest."""
    _decide(project, id, "mask", [_region(text) for text in region])


@quarantine.command(epilog="Example:  irp quarantine discard 2.25.7 -p study-a")
def discard(id: Id, project: InProject) -> None:
    """Remove it; sent again it is refused."""
    _decide(project, id, "discard")


def _region(text: str) -> tuple[int, int, int, int]:
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter("a region is x,y,width,height, for example 0,0,640,32") from None
    return x, y, width, height


def _decide(project: str, id: str, action: str, regions: list[tuple[int, int, int, int]] | None = None) -> None:
    there = Irp.from_environment().project(project)
    one, until = there.decide(id, action, regions), time.monotonic() + PATIENCE_S
    while one["state"] in UNDER_WAY and time.monotonic() < until:
        time.sleep(PAUSE_S)
        one = there.quarantined(id)
    if one["state"] == "waiting":
        advice = "Another instance has its UID by now. Look again, and discard this one."
        raise Problem(409, {"title": "The decision could not be carried out", "advice": advice})
    say(f"{id} is {one['state']}")
