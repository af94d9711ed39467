"""How the command speaks: one console, tables, progress bars, and complaints in plain words."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.panel import Panel
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

UNBROKEN = frozenset({"series_uid", "series", "patient", "since", "when"})
PIPE_WIDTH = 220  # characters

# A pipe has no width: identifiers are not to be broken for it.
out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)


def say(text: str | Text) -> None:
    """A line for people (not for pipes): to standard error, as it is; what others wrote may look like markup."""
    err.print(text, markup=False)


def not_valid(why: str) -> None:
    """A signature does not hold."""
    say(Text.assemble(("Not valid.", "bold red"), f" {why}"))


def complain(title: str, detail: str, advice: str, small: str) -> None:
    """What went wrong and what to do, to standard error."""
    body = Text("\n".join(part for part in (detail, advice) if part))
    if small:
        body.append(f"\n{small}", style="dim")
    err.print(Panel(body, title=Text(title, style="bold red"), title_align="left", border_style="red"))


def print_json(value: Any) -> None:
    """JSON for pipes."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A table on standard output."""
    drawn = Table(title=Text(title, style="table.title"), title_justify="left", header_style="bold")
    for column in columns:
        drawn.add_column(Text(column), overflow="fold", no_wrap=column in UNBROKEN)
    for row in rows:
        drawn.add_row(*(Text(number(cell)) for cell in row))
    out.print(drawn)


def number(value: Any) -> str:
    """A cell's text: floats with four significant digits, None as a dash."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def before_it(run: dict[str, Any]) -> str:
    """How many runs a waiting run must wait for, as a sentence; empty if for none."""
    return f" {run['ahead']} before it." if run.get("ahead") else ""


def show_run(bar: Progress, task: TaskID, run: dict[str, Any]) -> None:
    """Draw a training run: its step, the newest point of each curve in few words, and how far it is."""
    latest = {metric["name"]: metric["value"] for metric in run.get("metrics", [])}
    said = {name: value for name, value in latest.items() if not name.endswith(("_low", "_high"))}  # ends of bands
    watched = {name: value for name, value in said.items() if name.endswith("_loss") or "_dice_lv_" in name}
    short = {name.removeprefix("val_dice_lv_").removeprefix("segment_"): value for name, value in watched.items()}
    apart = {name: f" ({said[hd95]:.1f} mm)" for name in short if (hd95 := f"val_hd95_mm_lv_{name}") in said}
    shown = [f"{name.replace('_', ' ')} {value:.3f}{apart.get(name, '')}" for name, value in sorted(short.items())]
    progress = run.get("progress") or {}
    words = "  ".join([f"  {progress.get('step', '')}", *shown])
    bar.update(task, completed=progress.get("fraction", 0.0), description=words)


def counting() -> Progress:
    """A bar with n of m and the time that is left."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=18),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
    )


def looking() -> Progress:
    """A count without an end."""
    return Progress(
        SpinnerColumn(), TextColumn("{task.description} {task.completed:.0f} files", markup=False), console=err
    )


def sending() -> Progress:
    """A bar of bytes with files (the field `files`), speed, and the time that is left."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description} {task.fields[files]}", markup=False),
        BarColumn(bar_width=18),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
    )


def flowing() -> Progress:
    """A bar for work that tells its fraction."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=18),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        console=err,
    )


def drawn(watched: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """Draw progress until the end; the last state."""
    said: dict[str, Any] = {}
    with flowing() as bar:
        task = bar.add_task("  waiting", total=1.0)
        for said in watched:
            progress = said["progress"]
            left = f", {progress['eta_s']:.0f} s left" if progress["eta_s"] else ""
            bar.update(task, completed=progress["fraction"], description=f"  {progress['step']}{left}")
    return said


def model_of(text: str) -> tuple[str, str]:
    """NAME@VERSION of a model as its parts: a number, an alias or a digest, which the gateway looks up."""
    name, _, version = text.partition("@")
    if not name or not version:
        raise typer.BadParameter(f"{text!r} is not NAME@VERSION, for example cine@3 or cine@champion")
    return name, version


def version_of(text: str) -> tuple[str, int]:
    """NAME@NUMBER as its parts.

    Containers and what enters challenges have no other names.
    """
    name, _, version = text.partition("@")
    if not name or not version.isdecimal():
        raise typer.BadParameter(f"{text!r} is not NAME@VERSION, for example cine@3")
    return name, int(version)
