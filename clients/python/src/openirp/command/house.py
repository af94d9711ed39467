"""`irp up`, `down`, `status`, `logs`, `env`: the house on this machine."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from openirp.command.console import err, say, table
from openirp.house.house import House
from openirp.house.layout import PARTS
from openirp.house.readiness import Look
from openirp.house.trouble import HouseTrouble

Home = Annotated[
    Path | None, typer.Option("--home", help="The house's folder (default: IRP_HOME, else .irp).", show_default=False)
]
WATCH_S = 2.0


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(epilog="Examples:  irp up  ·  irp up --detach  ·  IRP_HOME=/tmp/b IRP_PORTS=auto irp up --detach")(up)
    app.command()(down)
    app.command()(status)
    app.command(epilog="Example:  irp logs ingest -f")(logs)
    app.command(epilog='Example:  eval "$(irp env)"')(env)


def up(
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything is ready.")] = False,
    home: Home = None,
) -> None:
    """Start the parts and the seven rooms, and wait until all are ready."""
    house = House(home)
    stand_up(house)
    say(Text.assemble("\nThe house is open at ", (house.url, "bold"), f"   (pages: {house.url}/docs)"))
    for name, value in house.exports().items():
        say(f"  {name:<20} {value}")
    say(Text.assemble("  In your shell: ", ('eval "$(irp env)"', "bold")))
    if detach:
        return
    say("  Ctrl-C ends it.")
    try:
        _stay(house)
    finally:
        say("Closing...")
        house.stop()


def stand_up(house: House) -> None:
    """Start, and wait with a picture of who is ready; a house that does not stand is closed again."""
    already = house.is_up()
    house.start()
    try:
        with _picture() as draw:
            house.wait_ready(on_look=draw)
    except BaseException:
        if not already:
            house.stop()
        raise


@contextlib.contextmanager
def _picture() -> Iterator[_Picture]:
    with Live(console=err, refresh_per_second=8, transient=True) as live:
        yield _Picture(live)


class _Picture:
    """Draws who is ready."""

    def __init__(self, live: Live) -> None:
        self._live, self._begun = live, time.monotonic()

    def __call__(self, looks: list[Look]) -> None:
        drawn = Table.grid(padding=(0, 2))
        for look in looks:
            mark = "[green]●[/green]" if look.ready else "[yellow]○[/yellow]"
            drawn.add_row(mark, look.name, Text("" if look.ready else look.said, style="dim"))
        ready = sum(look.ready for look in looks)
        drawn.add_row("", f"{ready} of {len(looks)} ready", f"{time.monotonic() - self._begun:.0f} s")
        self._live.update(drawn)


def _stay(house: House) -> None:
    """Until Ctrl-C, SIGTERM, or `irp down` elsewhere."""
    told = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told.append(1))
    while not told and house.is_up():
        time.sleep(WATCH_S / 4)


def down(home: Home = None) -> None:
    """Stop the house; nothing is lost."""
    say("The house is closed." if House(home).stop() else "There was no house to close.")


def status(home: Home = None) -> None:
    """Who runs, since when, with how much memory, and whether it takes work."""
    house = House(home)
    if not house.is_up():
        raise HouseTrouble(f"the house in {house.layout.home} is not up", "start it with `irp up --detach`")
    rows = []
    for state, look in house.looks():
        pid = state.pid if state else 0
        up_for = f"{state.up_s:.0f} s" if state and pid else "-"
        memory = f"{resident_mib(pid):.0f}" if pid else "-"
        kind = "part" if look.name in PARTS else "room"
        rows.append((look.name, kind, state.state.lower() if state else "-", pid or "-", up_for, memory, look.said))
    table(house.url, ("name", "kind", "process", "pid", "up", "MiB", "says"), rows)
    if any(row[-1] != "ready" for row in rows):
        raise typer.Exit(4)


def resident_mib(pid: int) -> float:
    """Resident memory of a process and its children in MiB; 0 where it cannot be read."""
    total, waiting = 0.0, [pid]
    while waiting:
        one = waiting.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)
            waiting += [int(child) for child in Path(f"/proc/{one}/task/{one}/children").read_text().split()]
    return total


def logs(
    room: Annotated[str, typer.Argument(help="A room or part: gateway, ingest, ..., nats, s3.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with new lines.")] = False,
    lines: Annotated[int, typer.Option("-n", help="How many of the last lines.")] = 100,
    home: Home = None,
) -> None:
    """The log of one room or part."""
    house = House(home)
    typer.echo(house.tail(room, lines))
    path = house.layout.log(room)
    if not follow or not path.is_file():
        return
    with path.open(errors="replace") as file, contextlib.suppress(KeyboardInterrupt):
        file.seek(0, os.SEEK_END)
        while True:
            line = file.readline()
            if line:
                typer.echo(line, nl=False)
            else:
                time.sleep(0.2)


def env(home: Home = None) -> None:
    """Print the house's addresses and token as shell exports."""
    house = House(home)
    if not house.is_up():
        raise HouseTrouble(f"the house in {house.layout.home} is not up", "start it with `irp up --detach`")
    for name, value in house.exports().items():
        typer.echo(f"export {name}={shlex.quote(value)}")
