"""`irp runs`: move or stop a run, and look into it: plan, cases, pictures, and files for other programs' viewers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import before_it, print_json, say, table
from openirp.command.images import AsJson, InProject
from openirp.mlflow import Mlflow
from openirp.project import Project

app = typer.Typer(no_args_is_help=True, help="Training runs: priority, plan, cases, pictures, TensorBoard, MLflow.")
Run = Annotated[str, typer.Argument(help="Id of a run: `irp train list` shows them.")]


@app.command(epilog="Example:  irp runs priority run-0123456789abcdef 10 -p study-a")
def priority(run: Run, number: Annotated[int, typer.Argument(min=-100, max=100)], project: InProject) -> None:
    """Move a waiting run in the queue: the highest begins first. A run that works is never interrupted for it."""
    moved = _project(project).prioritise_run(run, number)
    say(f"Run {moved['id']} has priority {moved['priority']}.{before_it(moved)}")


@app.command(epilog="Example:  irp runs cancel run-0123456789abcdef -p study-a")
def cancel(run: Run, project: InProject) -> None:
    """Stop a run; what it learnt is discarded."""
    stopped = _project(project).cancel_run(run)
    say(f"Run {stopped['id']} is {stopped['state']}; one that learns ends after its present pass.")


@app.command(epilog="Example:  irp runs plan run-0123456789abcdef -p study-a")
def plan(run: Run, project: InProject, json: AsJson = False) -> None:
    """What the training cases chose for a run (`configure` fingerprint), and why, in words."""
    found = _project(project).run(run)["configured"]
    if json:
        print_json(found)
        return
    if not found:
        say("Nothing: the recipe of this run is fixed, or it has not looked at its training cases yet.")
        return
    rows = [(key, str(value), found["reasons"][key]) for key, value in sorted(found["chosen"].items())]
    table("plan", ("key", "value", "why"), rows)
    table("fingerprint", ("of the training cases", "value"), [(k, str(v)) for k, v in found["fingerprint"].items()])


@app.command(epilog="Example:  irp runs cases run-0123456789abcdef -p study-a")
def cases(run: Run, project: InProject, json: AsJson = False) -> None:
    """Every patient kept out: Dice and distances of borders; and their means with 95 % intervals over patients."""
    found = _project(project).run_cases(run)
    if json:
        print_json(found)
        return
    rows = [
        (
            case["patient"],
            case["split"],
            name,
            case["before"].get(name),
            case["after"].get(name),
            *_distances(case, name),
        )
        for case in found["cases"]
        for name in dict.fromkeys([*case["after"], *case.get("distances", {})])
    ]
    table("cases", ("patient", "split", "structure", "Dice before", "after", "HD95 mm", "mean mm"), rows)
    means = [
        (split, name, measure, one["mean"], one["low"], one["high"], one["patients"])
        for split, structures in found["intervals"].items()
        for name, measures in structures.items()
        for measure, one in measures.items()
    ]
    table("means with 95 % intervals", ("split", "structure", "measure", "mean", "low", "high", "patients"), means)


@app.command(epilog="Example:  irp runs overlays run-0123456789abcdef -p study-a --out pictures")
def overlays(
    run: Run, project: InProject, out: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("overlays")
) -> None:
    """Pictures of the best, middle and worst validation slice, pass after pass: white the expert, colour the net."""
    one, known = _project(project), _project(project).run_overlays(run)
    out.mkdir(parents=True, exist_ok=True)
    for overlay in known:
        name = f"epoch-{overlay['epoch']:05d}-{overlay['which']}.png"
        (out / name).write_bytes(one.run_overlay(run, overlay["epoch"], overlay["which"]))
    say(f"{len(known)} pictures in {out}.")


@app.command(epilog="Example:  irp runs curve run-0123456789abcdef -p study-a -o curve.svg")
def curve(
    run: Run,
    project: InProject,
    output: Annotated[Path, typer.Option("-o", "--output", help="A file that ends in .png or .svg.")] = Path(
        "curve.png"
    ),
) -> None:
    """The curves as a picture: losses, and Dice with 95 % bands over patients."""
    if output.suffix not in {".png", ".svg"}:
        raise typer.BadParameter("the file must end in .png or .svg")
    output.write_bytes(_project(project).run_curve(run, output.suffix.lstrip(".")))
    say(str(output))


@app.command(
    epilog="Example:  irp runs tensorboard run-0123456789abcdef -p study-a --logdir logs && tensorboard --logdir logs"
)
def tensorboard(
    run: Run, project: InProject, logdir: Annotated[Path, typer.Option(help="What `tensorboard --logdir` is told.")]
) -> None:
    """Write a TensorBoard event file of every curve and the newest pictures."""
    body = _project(project).run_tensorboard(run)
    folder = logdir / run
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"events.out.tfevents.0000000000.{run}"
    file.write_bytes(body)
    say(f"{file} ({len(body)} bytes)")


@app.command(epilog="Example:  irp runs export run-0123456789abcdef -p study-a --mlflow http://127.0.0.1:5000")
def export(
    run: Run,
    project: InProject,
    mlflow: Annotated[str, typer.Option(envvar="MLFLOW_TRACKING_URI", help="Address of the tracking server.")],
    experiment: Annotated[str, typer.Option(help="Made if it is not there.")] = "openirp",
) -> None:
    """Send curves, recipe and digests to an MLflow server; cases and pictures stay here. Twice is once."""
    made = Mlflow(mlflow).send(_project(project).run(run), project, experiment)
    say(f"Run {run} is {made} in the experiment {experiment}.")


def _project(name: str) -> Project:
    return Irp.from_environment().project(name)


def _distances(case: dict[str, Any], structure: str) -> tuple[Any, Any]:
    found = case.get("distances", {}).get(structure, {})
    return found.get("hd95_mm"), found.get("assd_mm")
