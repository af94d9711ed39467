"""`irp correct` and `irp segmentations`: an expert's masks in and out."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from openirp.client import Irp
from openirp.command.console import say, table
from openirp.command.images import InProject, format_of

segmentations = typer.Typer(no_args_is_help=True, help="Versions of masks.")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(epilog="Example:  irp correct 2.25.123 mask.nii.gz -p study-a")(correct)
    app.add_typer(segmentations, name="segmentations")


def correct(
    series_uid: str,
    mask: Annotated[Path, typer.Argument(exists=True, help=".nii.gz, .nrrd, .dcm (SEG) or .json (contours).")],
    project: InProject,
    state: Annotated[str, typer.Option(help="draft, submitted or accepted.")] = "accepted",
    labels: Annotated[str, typer.Option(help='Label table, e.g. {"1": {"name": "lv_blood_pool"}}.')] = "",
) -> None:
    """Send your corrected mask; accepted masks reach training and radiomics."""
    made = (
        Irp.from_environment()
        .project(project)
        .put_mask(
            series_uid,
            mask.read_bytes(),
            media_type=format_of(mask),
            state=state,
            label_table=json_module.loads(labels) if labels else None,
        )
    )
    say(f"Version {made.get('version')} ({made.get('state')}): {made.get('id')}")


segmentations.command("put", help="Send a mask as a draft or accepted.")(correct)


@segmentations.command("list")
def list_(series_uid: str, project: InProject) -> None:
    """Every version of every mask of a series."""
    rows = [
        (
            s["version"],
            s["id"],
            s["state"],
            s.get("provenance", {}).get("actor"),
            str(s.get("provenance", {}).get("at"))[:16],
        )
        for s in Irp.from_environment().project(project).segmentations(series_uid)
    ]
    table(series_uid, ("version", "id", "state", "who", "when"), rows)


@segmentations.command(epilog="Example:  irp segmentations export ID -o seg.dcm -p study-a")
def export(
    segmentation: str,
    project: InProject,
    output: Annotated[Path, typer.Option("-o", "--output")] = Path("mask.dcm"),
) -> None:
    """One version as DICOM SEG, NIfTI, NRRD or contours."""
    body = Irp.from_environment().project(project).export(segmentation, format_of(output))
    output.write_bytes(body)
    say(f"{output} ({len(body)} bytes)")


@segmentations.command()
def review(
    segmentation: str,
    state: Annotated[str, typer.Argument(help="submitted, accepted or rejected.")],
    project: InProject,
) -> None:
    """Move a version to another state."""
    answer = Irp.from_environment().project(project).review(segmentation, state)
    say(f"{answer.get('id')} is {answer.get('state')}")
