"""`irp models precision`: a reduced precision of a version, tried by its guard."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import drawn, model_of, say, table

EXAMPLES = """Examples:

irp models precision cine@3 int8 --wait  -  try int8 on the frozen validation set of the run that made version 3

irp models precision cine@1 int8 --project heart --wait  -  judge a shipped model on your own accepted masks

irp models precision cine@3 bfloat16  -  only begin; the same command later says how it is"""


def register(app: typer.Typer) -> None:
    """Hang the command below `irp models`."""
    app.command(epilog=EXAMPLES)(precision)


def precision(
    model: Annotated[str, typer.Argument(metavar="NAME@VERSION")],
    precision: Annotated[str, typer.Argument(metavar="int8|bfloat16")],
    project: Annotated[str, typer.Option(help="Judge on this project's accepted masks (split `validation`).")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is judged.")] = False,
) -> None:
    """Try a reduced precision; it may serve only if no structure loses more than 0.002 Dice. Exit code 1 if not."""
    name, version = model_of(model)
    irp = Irp.from_environment()
    said = irp.try_precision(name, version, precision, project=project)
    if wait:
        said = drawn(irp.watch_precision(name, said["version"], precision))
    _show(said)
    if said["state"] in {"refused", "failed"}:
        raise typer.Exit(1)


def _show(said: dict[str, Any]) -> None:
    report = said["report"]
    rows = [
        (tried["recipe"], s["structure"], s["cases"], s["float32"], s["reduced"], f"{s['difference']:+.4f}", s["worst"])
        for tried in report.get("tried", [])
        for s in tried["structures"]
    ]
    if rows:
        columns = ("recipe", "structure", "cases", "float32", "reduced", "mean change", "worst case")
        table(f"Dice of {said['name']}@{said['version']} in {said['precision']}", columns, rows)
    words = ", ".join(f"{ratio:.2f}x with {n} at once" for n, ratio in report.get("speedup", {}).items())
    state = f"{said['name']}@{said['version']} in {said['precision']}: {said['state']}"
    say(". ".join(filter(None, (state, said["message"] or said["reason"], words and f"Speed: {words}"))) + ".")
