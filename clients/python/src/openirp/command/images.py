"""`irp series`, `quality`, `segment`: what became of images, verdicts and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import print_json, say, table
from openirp.project import JSON, NIFTI, NRRD, SEG

InProject = Annotated[str, typer.Option("--project", "-p", envvar="IRP_PROJECT", help="Project id.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]
SEGMENT_EXAMPLES = """Examples:  irp segment 2.25.123 -p study-a --model cine --slices 4,5 -o mask.nii.gz

irp segment 2.25.123 -p study-a --look-again --uncertainty map.nii.gz"""
series = typer.Typer(no_args_is_help=True, help="Series of a project.")
MAPS = (NIFTI, NRRD)
FORMATS = {".gz": NIFTI, ".nii": NIFTI, ".nrrd": NRRD, ".dcm": SEG, ".json": JSON}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(series, name="series")
    app.command(epilog="Example:  irp quality 2.25.123 -p study-a")(quality)
    app.command(epilog=SEGMENT_EXAMPLES)(segment)


@series.command("list", epilog="Example:  irp series list -p study-a")
def list_(project: InProject, json: AsJson = False) -> None:
    """Every series with its state."""
    found = Irp.from_environment().project(project).series()
    if json:
        print_json(found)
        return
    rows = [
        (one["series_uid"], one["patient"], one["sequence_class"], "x".join(map(str, one["shape"])), _state(one))
        for one in found
    ]
    table(f"{len(rows)} series", ("series_uid", "patient", "class", "shape", "state"), rows)


def _state(one: dict[str, Any]) -> str:
    if one["reason"]:
        return f"{one['state']}: {one['reason']}"
    return f"{one['state']}, version {one['version']}" if one["version"] > 1 else str(one["state"])


def quality(series_uid: str, project: InProject, json: AsJson = False) -> None:
    """The quality report of a series."""
    report = Irp.from_environment().project(project).quality(series_uid)
    if json:
        print_json(report)
        return
    names = sorted(report["parameters"])
    rows = [["series", *(report["parameters"].get(n) for n in names)]]
    rows += [[s["slice"], *(s["parameters"].get(n) for n in names)] for s in report["slices"]]
    table(f"verdict: {report['verdict']}", ("slice", *names), rows)


def segment(
    series_uid: str,
    project: InProject,
    model: Annotated[str, typer.Option(help='"name" or "name@version".')] = "cine",
    slices: Annotated[str, typer.Option(help="For example 0,1,4; default: all.")] = "",
    frames: Annotated[str, typer.Option(help="For example 0,7; default: all.")] = "",
    output: Annotated[
        Path, typer.Option("-o", "--output", help="mask.nii.gz, .nrrd, .dcm (SEG) or .json (contours).")
    ] = Path("mask.nii.gz"),
    look_again: Annotated[
        bool,
        typer.Option("--look-again", help="Test-time augmentation: better, slower; if the model declares it."),
    ] = False,
    uncertainty: Annotated[
        Path | None, typer.Option(help="Also write a map of it, 0 (certain) to 255: map.nii.gz or .nrrd.")
    ] = None,
) -> None:
    """Ask the classification server for a mask now; it warns of what to look at twice."""
    place, media_type, map_type = Irp.from_environment().project(project), format_of(output), _map_type(uncertainty)
    options = {"test_time_augmentation": look_again, "uncertainty": uncertainty is not None}
    asked: dict[str, Any] = {"slices": _numbers(slices), "frames": _numbers(frames), "options": options}
    found = place.segment(series_uid, model, media_type=media_type, **asked)
    output.write_bytes(found.content)
    spent = ", ".join(f"{name} {ms:.0f} ms" for name, ms in found.timings_ms.items())
    say(f"{output} ({len(found.content)} bytes)   {found.model}   {spent}")
    if found.warnings:
        say(f"look twice: {', '.join(found.warnings)}")
    if uncertainty:
        seen = place.segment(series_uid, found.model, answer="uncertainty", media_type=map_type, **asked)
        uncertainty.write_bytes(seen.content)
        say(f"{uncertainty} ({len(seen.content)} bytes)")


def _map_type(path: Path | None) -> str:
    """Media type of a map; empty = none is wanted."""
    if path is None:
        return ""
    if format_of(path) not in MAPS:
        raise typer.BadParameter("a map of uncertainty ends in .nii.gz or .nrrd")
    return format_of(path)


def format_of(path: Path) -> str:
    """Media type by a file's ending."""
    if path.suffix not in FORMATS:
        raise typer.BadParameter(f"the file must end in {', '.join(FORMATS)}")
    return FORMATS[path.suffix]


def _numbers(text: str) -> list[int] | None:
    return [int(part) for part in text.split(",")] if text else None
