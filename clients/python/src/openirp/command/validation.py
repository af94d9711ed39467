"""`irp models validate`, `verify-report`, `drift`: what a version is worth, and whether it still is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from irp_kernel.errors import IrpError
from irp_kernel.signed import SignatureNotValid
from irp_kernel.validation_report import SIGNATURE, check_report

from openirp.client import Irp
from openirp.command.console import drawn, model_of, not_valid, print_json, say, table
from openirp.command.images import AsJson
from openirp.command.registry import keys_of, text_of

MAX_FILE_BYTES = 256 << 20
EXAMPLES = """Examples:

irp models validate cine@3 --wait --out report  -  on the patients kept out of the run that made version 3

irp models validate cine@1 --project heart --split validation --wait  -  a shipped model on your own masks

irp models key > key.json && irp models verify-report report --key key.json  -  the second needs no network"""


def register(app: typer.Typer) -> None:
    """Hang the commands below `irp models`."""
    app.command(epilog=EXAMPLES)(validate)
    app.command("verify-report", epilog="Example:  irp models verify-report report --key key.json")(verify_report)
    app.command(epilog="Example:  irp models drift cine")(drift)


def validate(
    model: Annotated[str, typer.Argument(metavar="NAME@VERSION")],
    project: Annotated[str, typer.Option(help="Its accepted masks judge (default: the version's frozen set).")] = "",
    dataset: Annotated[str, typer.Option(help="One that the project froze before, by its digest.")] = "",
    split: Annotated[str, typer.Option(help="test or validation (default: test where there is somebody in it).")] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the report is there.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for the report; implies --wait.")] = None,
) -> None:
    """Validate a version on patients that it has never seen: a report with intervals, robustness, and a signature."""
    name, version = model_of(model)
    irp = Irp.from_environment()
    said = irp.validate_model(name, version, project=project, dataset=dataset, split=split)
    if wait or out:
        said = drawn(irp.watch_validation(said["name"], said["version"], said["id"]))
    _show(said)
    if said["state"] == "failed":
        raise typer.Exit(1)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        for file in said["files"]:
            (out / file["name"]).write_bytes(irp.validation_file(name, said["version"], said["id"], file["name"]))
        say(f"{', '.join(file['name'] for file in said['files'])} in {out}.")


def verify_report(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="What `validate --out` wrote.")],
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What `irp models key` printed.")],
) -> None:
    """Check a report's signature and the hash of every file; needs no network. Exit code 1 if anything was changed."""
    try:
        signed = check_report(text_of(folder / SIGNATURE).strip(), keys_of(text_of(key)), lambda n: _read(folder / n))
    except (IrpError, FileNotFoundError) as error:
        why = f"{error.title()} {error.message}" if isinstance(error, IrpError) else f"{error.filename} is not there"
        not_valid(why)
        raise typer.Exit(1) from None
    model, dataset = signed["model"], signed["dataset"]
    say(
        f"Valid. {model['name']}@{model['version']}, digest {model['digest']}, on the split {dataset['split']} of "
        f"{dataset['project']}, dataset {dataset['digest']}, {signed['created_at']}: {', '.join(signed['files'])}."
    )


def drift(
    name: Annotated[str, typer.Argument(help="Name of a model.")],
    json: AsJson = False,
) -> None:
    """Whether its proposals are corrected more than before: all patients, by site, by scanner. Exit code 1 on alarm."""
    found = Irp.from_environment().drift(name)
    if json:
        print_json(found)
    else:
        columns = ("version", "by", "", "patients", "first Dice", "newest Dice", "p", "", "last alarm")
        rows = [
            (
                one["version"],
                one["by"],
                one["value"],
                one["patients"],
                one["reference"],
                one["recent"],
                one["p_value"],
                "drifted" if one["drifted"] else "",
                one["alarmed_at"],
            )
            for one in found
        ]
        table(f"corrections of {name}'s proposals", columns, rows)
    if any(one["drifted"] for one in found):
        raise typer.Exit(1)


def _read(file: Path) -> bytes:
    if file.stat().st_size > MAX_FILE_BYTES:
        raise SignatureNotValid(f"{file.name} is too large")
    return file.read_bytes()


def _show(said: dict[str, Any]) -> None:
    dice = said["summary"].get("dice", {})
    if dice:
        rows = [(name, one["mean"], one["low"], one["high"], one["patients"]) for name, one in dice.items()]
        columns = ("structure", "mean", "low", "high", "patients")
        table(f"Dice of {said['name']}@{said['version']}, 95 % over patients", columns, rows)
    words = (f"Validation {said['id']} of {said['name']}@{said['version']}: {said['state']}", said["message"])
    say(". ".join(filter(None, words)) + ".")
