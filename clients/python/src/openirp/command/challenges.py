"""`irp challenges`: a frozen test set, a deadline, a leaderboard."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import drawn, print_json, say, table, version_of
from openirp.command.images import InProject

app = typer.Typer(no_args_is_help=True, help="Challenges on a project's frozen test set.")

CREATE = """Example:

irp challenges create spring -p study-a -s lv_blood_pool -s lv_myocardium --deadline 2027-03-01T12:00:00Z"""
ENTER = """Examples:

irp challenges enter spring model cine@3 --wait

irp challenges enter spring container heart@1"""


@app.command(epilog=CREATE)
def create(
    name: str,
    project: InProject,
    structures: Annotated[list[str], typer.Option("--structure", "-s", help="Canonical name; may be repeated.")],
    deadline: Annotated[str, typer.Option(help="With its offset: 2027-03-01T12:00:00Z.")],
    title: Annotated[str, typer.Option()] = "",
    metrics: Annotated[list[str] | None, typer.Option("--metric", "-m", help="dice, hd95 (default: both).")] = None,
    entries: Annotated[int, typer.Option(help="How often one team may enter; 0 = five.")] = 0,
) -> None:
    """Hold a challenge on the project's test set, as it is now."""
    more: dict[str, Any] = {"title": title, "metrics": metrics or [], "entries_per_team": entries}
    made = Irp.from_environment().challenges.create(name, project, structures, deadline, **more)
    say(f"{made['name']}: {made['cases']} series of {made['patients']} patients, until {made['deadline']}.")


@app.command("list")
def list_() -> None:
    """Open and closed ones."""
    rows = [
        (c["name"], "open" if c["open"] else "closed", c["deadline"], c["cases"], c["entries"], c["title"])
        for c in Irp.from_environment().challenges.all()
    ]
    table("challenges", ("name", "", "deadline", "cases", "entries", "title"), rows)


@app.command(epilog=ENTER)
def enter(
    challenge: str,
    kind: Annotated[str, typer.Argument(metavar="model|container")],
    algorithm: Annotated[str, typer.Argument(metavar="NAME@VERSION")],
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it is scored.")] = False,
) -> None:
    """Enter a registered model or container; nobody who enters sees the labels. Exit code 1 if it failed."""
    irp = Irp.from_environment().challenges
    said = irp.enter(challenge, kind, *version_of(algorithm))
    if wait:
        said = drawn(irp.watch(challenge, said["id"]))
    words = (f"{algorithm} in {challenge}: {said['state']}", said["message"] or said["reason"])
    say(". ".join(filter(None, words)) + ".")
    if said["state"] == "failed":
        raise typer.Exit(1)


@app.command(epilog="Example:  irp challenges leaderboard spring")
def leaderboard(challenge: str, as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Places by mean rank over metrics and structures, with 95 % intervals over resampled patients."""
    board = Irp.from_environment().challenges.leaderboard(challenge)
    if as_json:
        print_json(board)
        return
    places = board["places"]
    figures = [f"{f['metric']} {f['structure']}" for f in places[0]["figures"]] if places else []
    rows = [
        (
            place["position"],
            f"{place['positions'][0]} to {place['positions'][1]}",
            f"{place['entry']['name']}@{place['entry']['version']}",
            place["entry"]["team"],
            f"{place['mean_rank']:.2f}",
            *(_figure(figure) for figure in place["figures"]),
        )
        for place in places
    ]
    table(board["challenge"]["title"], ("place", "95 %", "entry", "team", "mean rank", *figures), rows)
    others = ", ".join(f"{e['name']}@{e['version']} ({e['state']})" for e in board["unranked"])
    say(" ".join(filter(None, ("Final." if board["final"] else "Not final.", others and f"Not ranked: {others}."))))


def _figure(figure: dict[str, Any]) -> str:
    """`0.900 (0.850 to 0.930)`; a dash where nothing is known."""
    mean, interval = figure["mean"], figure["interval"]
    if mean is None:
        return "-"
    return f"{mean:.3f}" + (f" ({interval[0]:.3f} to {interval[1]:.3f})" if interval else "")


@app.command()
def promote(challenge: str) -> None:
    """Make the winner the champion of its name: a model if the gate allows, a container at once."""
    won = drawn(Irp.from_environment().challenges.watch_promotion(challenge))
    waits = f"waits: somebody else has to say `irp models approve {won['name']} {won['version']}`"
    say(f"{won['name']}@{won['version']} has won and {waits if won['state'] == 'pending' else 'is the champion'}.")
