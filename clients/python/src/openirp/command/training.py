"""`irp train`: start a run and watch it learn."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import before_it, flowing, say, show_run, table
from openirp.command.images import InProject
from openirp.command.verdict import show_verdict
from openirp.project import Project

app = typer.Typer(no_args_is_help=True, help="Training runs.")


@app.command(
    epilog="Examples:  irp train start -p study-a --model cine --base cine --watch  ·  "
    "irp train start -p study-a --base '' --recipe '{\"configure\": \"fingerprint\"}'  ·  "
    "irp train start -p study-a --base '' --recipe '{\"dimensions\": 3}'"
)
def start(
    project: InProject,
    model: Annotated[str, typer.Option(help="Model that gets the new version.")] = "cine",
    base: Annotated[str, typer.Option(help='Start from "name" or "name@version"; empty = from scratch.')] = "cine",
    recipe: Annotated[
        str,
        typer.Option(help="Recipe as JSON; missing keys take defaults, or with `configure` what the cases say."),
    ] = "{}",
    dataset: Annotated[str, typer.Option(help="Frozen dataset to learn from; empty = freeze what is accepted.")] = "",
    promote: Annotated[bool, typer.Option(help="Promote if the gate allows.")] = True,
    priority: Annotated[int, typer.Option(min=-100, max=100, help="The highest begins first; above 0: owners.")] = 0,
    watching: Annotated[bool, typer.Option("--watch", help="Stay and watch.")] = False,
) -> None:
    """Queue a run on the project's accepted masks, or on a frozen dataset."""
    learnt, one = _recipe(recipe), Irp.from_environment().project(project)
    run = one.start_run(model, base=base, recipe=learnt, promote=promote, dataset=dataset, priority=priority)
    say(f"Run {run['id']} is {run['state']}.{before_it(run)}")
    if watching:
        _conclude(follow(one, run["id"]))


def _recipe(text: str) -> dict[str, Any]:
    try:
        recipe = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"the recipe is not JSON: {error}") from None
    if not isinstance(recipe, dict):
        raise typer.BadParameter("the recipe must be an object, for example '{\"dimensions\": 3}'")
    return recipe


@app.command()
def watch(project: InProject, run: str) -> None:
    """Follow a run until it ends; exit code 1 if it did not succeed."""
    _conclude(follow(Irp.from_environment().project(project), run))


@app.command("list")
def list_(project: InProject) -> None:
    """Every run, with its cost where the training server knows a price."""
    table("runs", ("id", "state", "model", "since", "priority", "minutes", "cost"), map(_row, _runs(project)))


def _row(run: dict[str, Any]) -> tuple[Any, ...]:
    cost = f"{run['cost']:.2f} {run['currency']}".strip() if run.get("cost") else None
    since, minutes = str(run["created_at"])[:16], f"{run.get('spent_s', 0.0) / 60:.1f}"
    return run["id"], run["state"], run.get("model"), since, run.get("priority", 0), minutes, cost


@app.command(epilog="Example:  irp train policy -p study-a")
def policy(project: InProject) -> None:
    """When the project learns by itself, and what is missing until then."""
    said = Irp.from_environment().project(project).training_policy()
    if not said["declared"]:
        say("Nothing begins by itself: `automation.train` of the project's configuration declares it.")
        return
    rows = [
        ("accepted masks since the last run", said["masks_since_run"], said["after_masks"] or None),
        ("patients with an accepted mask", said["patients"], said["least_patients"] or None),
    ]
    table("policy", ("", "there are", "needed"), rows)
    words = f"Next by the clock: {said['next_at'][:16]} UTC. " if said["next_at"] else ""
    if said["refusal"]:
        say(f"The latest run that was to begin by itself could not: {said['refusal']}.")
    if not said["model"]:
        say("Nothing begins by itself: no model is named. Name it in `automation.train.model` of the configuration.")
        return
    say(f"{words}{said['model']} learns from {said['base'] or 'scratch'}{'; paused' if said['paused'] else ''}.")


@app.command(epilog="Examples:  irp train pause -p study-a  ·  irp train pause -p study-a --off")
def pause(project: InProject, off: Annotated[bool, typer.Option("--off", help="End the pause.")] = False) -> None:
    """Let nothing begin by itself; what is accepted is counted on. A new revision of the project's configuration."""
    one = Irp.from_environment().project(project)
    document = one.configuration()
    train = document["automation"]["train"]
    if not train:
        say("Nothing begins by itself: `automation.train` of the project's configuration declares it.")
        raise typer.Exit(1)
    automation = {**document["automation"], "train": {**train, "paused": not off}}
    revision = one.configure({**document, "automation": automation})["revision"]
    say(f"Revision {revision}: {'runs may begin by themselves again' if off else 'paused'}.")


def _runs(project: str) -> list[dict[str, Any]]:
    return Irp.from_environment().project(project).runs()


def follow(project: Project, run_id: str) -> dict[str, Any]:
    """Draw a run's progress until it ends; its last state."""
    run: dict[str, Any] = {}
    with flowing() as bar:
        task = bar.add_task("Waiting", total=1.0)
        for run in project.watch_run(run_id):
            show_run(bar, task, run)
    return run


def _conclude(run: dict[str, Any]) -> None:
    show_verdict(f"{run.get('model')} before the gate", run.get("gate") or {})
    said = "promoted" if run.get("promoted") else "not promoted"
    say(f"Run {run.get('id')} {run.get('state')}; {said}. {run.get('message', '')}")
    if run.get("state") != "succeeded":
        raise typer.Exit(1)
