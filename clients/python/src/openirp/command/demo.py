"""`irp demo`: the whole story on real hearts."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from openirp.command.console import err, say
from openirp.command.house import stand_up
from openirp.house.house import House


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(epilog="Examples:  irp demo  ·  irp demo --short  ·  irp demo --keep --output out/mine")(demo)


def demo(
    short: Annotated[bool, typer.Option("--short", help="Fewer patients: the form for CI.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the house open afterwards.")] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the page and tables.")] = Path("out/demo"),
) -> None:
    """Tell the whole story on real hearts: upload, quality, segment, correct, train, radiomics, report."""
    from openirp.demo.story import open_house

    home = Path(os.environ.get("IRP_HOME") or ".irp") / "demo"
    err.print(
        Panel(
            Text(
                "Real heart scans (Sunnybrook, CC0) go in with planted names; a page of evidence comes out.\n"
                f"A fresh house is opened in {home}; it is closed again at the end{'' if not keep else ' only by you'}."
            ),
            title="[bold]OpenIRP demo[/bold]",
            title_align="left",
            border_style="cyan",
        )
    )
    # `timeout` and CI end a command with SIGTERM: the house is closed then too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    house = open_house(home)
    try:
        stand_up(house)
        page = _tell(house, short=short, output=output)
    finally:
        if not keep:
            house.stop()
    _where_next(house, page, keep=keep)


def _tell(house: House, *, short: bool, output: Path) -> Path:
    from openirp.demo import evidence, learning, story
    from openirp.demo.telling import Narrator

    output.mkdir(parents=True, exist_ok=True)
    client = house.client()
    tell = Narrator(story.STEPS)
    told = story.Story(house, client, tell, short, client.project(story.NAME))
    with tell.step("Create a project"):
        story.create_project(told)
    with tell.step("Upload, de-identified before anything is stored"):
        story.upload_images(told)
        story.search_for_secrets(told)
    with tell.step("Judge the images"):
        story.measure_quality(told)
    with tell.step("Segment"):
        learning.segment_live(told)
    with tell.step("Correct"):
        learning.correct(told)
    with tell.step("Train"):
        learning.train(told)
    with tell.step("Radiomics and clinical values"):
        evidence.radiomics(told, output)
    with tell.step("Report"):
        return evidence.report(told, output)


def _where_next(house: House, page: Path, *, keep: bool) -> None:
    done, where = ("\nDone.", "bold green"), (str(page), "bold")
    say(Text.assemble(done, "  Open ", where, "; report.json beside it holds every figure."))
    if keep:
        say(f"  The house is open:  export IRP_HOME={house.layout.home}   then:  irp status")
        say(f"  Pages of the API:   {house.url}/docs      close it with:  irp down")
    else:
        say("  Your own house:     irp up --detach   then:  irp project create study-a --template myocarditis")
        say("                      irp upload FOLDER --project study-a")
    say("  What to read next:  README.md, then ARCHITECTURE.md")
