"""`irp import`: a NIfTI or NRRD file becomes a series."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openirp.client import Irp
from openirp.command.console import print_json, say
from openirp.command.images import AsJson, InProject

EXAMPLES = (
    'Examples:  irp import scan.nii.gz -p study-a --patient P-17 --description "LGE sax"  ·  '
    "irp import chest.nrrd -p study-a --patient P-17 --modality CT"
)


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command("import", epilog=EXAMPLES)(import_image)


def import_image(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".nii, .nii.gz or .nrrd (data attached).")],
    project: InProject,
    patient: Annotated[str, typer.Option(help="Original identifier; only its pseudonym is kept.")],
    modality: Annotated[str, typer.Option(help="MR or CT.")] = "MR",
    description: Annotated[str, typer.Option(help="Series description: the project knows sequences by it.")] = "",
    sequence: Annotated[str, typer.Option(help="Protocol name, for the same.")] = "",
    json: AsJson = False,
) -> None:
    """Import a NIfTI or NRRD file as a series of its own; the same image again is the same series."""
    made = (
        Irp.from_environment()
        .project(project)
        .import_image(file.read_bytes(), patient=patient, modality=modality, description=description, sequence=sequence)
    )
    if json:
        print_json(made)
        return
    known = ", there before" if made["already_stored"] else ""
    say(f"Series {made['series_uid']}: {made['instances']} images{known}   report {made['report']}")
