"""`irp clinical`, `features`, `heatmap`, `function`: from masks and values to evidence."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from openirp.client import Irp
from openirp.command.console import say, table
from openirp.command.images import InProject

clinical = typer.Typer(no_args_is_help=True, help="Clinical values, joined by pseudonym.")
TYPES = {".json": "application/fhir+json", ".csv": "text/csv"}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(clinical, name="clinical")
    app.command(epilog="Example:  irp features -p study-a -o features.csv")(features)
    app.command(epilog="Example:  irp heatmap -p study-a -o heatmap.png")(heatmap)
    app.command("function")(function)


@clinical.command(epilog="Example:  irp clinical push values.csv -p study-a")
def push(
    file: Annotated[Path, typer.Argument(exists=True, help="FHIR R4 bundle (.json) or table (.csv).")],
    project: InProject,
) -> None:
    """Record clinical values."""
    if file.suffix not in TYPES:
        raise typer.BadParameter(f"the file must end in {', '.join(TYPES)}")
    answer = Irp.from_environment().project(project).push_clinical(file.read_bytes(), TYPES[file.suffix])
    say(f"{answer['patients']} patients, {answer['values']} values recorded.")
    for line in answer.get("refused", []):
        say(f"  refused: {line}")


def features(project: InProject, output: Annotated[Path, typer.Option("-o")] = Path("features.csv")) -> None:
    """The tidy feature table: .csv, .json or .parquet."""
    _save(Irp.from_environment().project(project).features(output.suffix.lstrip(".")), output)


def heatmap(project: InProject, output: Annotated[Path, typer.Option("-o")] = Path("heatmap.png")) -> None:
    """The clustered heat-map: .png, .svg or .json."""
    _save(Irp.from_environment().project(project).heatmap(output.suffix.lstrip(".")), output)


def function(project: InProject) -> None:
    """Volumes and ejection fraction per series."""
    columns = ("patient", "edv_ml", "esv_ml", "lvef_percent", "myocardial_mass_g", "source", "note")
    rows = [[f.get(c) for c in columns] for f in Irp.from_environment().project(project).function()]
    table("left ventricle", columns, rows)


def _save(body: bytes, output: Path) -> None:
    output.write_bytes(body)
    say(f"{output} ({len(body)} bytes)")
