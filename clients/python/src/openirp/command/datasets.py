"""`irp datasets`: frozen snapshots of accepted masks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import print_json, say, table
from openirp.command.images import InProject
from openirp.project import Project

app = typer.Typer(no_args_is_help=True, help="Frozen datasets: what models learn from, and what judges them.")

FREEZING = """Examples:

irp datasets freeze -p study-a  -  everything that is accepted, but series that quality calls unusable

irp datasets freeze -p study-a --verdict good --structure lv_myocardium --certainty 2  -  only what is good enough"""
Digest = Annotated[str, typer.Argument(help="Digest, or at least 8 digits that begin it.")]
PARTS = ("training", "validation", "test")


@app.command("list")
def list_(project: InProject) -> None:
    """Every frozen dataset, newest last: series (patients) of each split."""
    rows = [(d["digest"][:12], str(d["created_at"])[:16], d["actor"], *_sizes(d)) for d in _in(project).datasets.list()]
    table("datasets", ("digest", "since", "by", *PARTS), rows)


@app.command(epilog=FREEZING)
def freeze(
    project: InProject,
    sequence: Annotated[list[str], typer.Option(help="Only this sequence class; may be repeated.")] = [],  # noqa: B006
    verdict: Annotated[list[str], typer.Option(help="Only this quality verdict; may be repeated.")] = [],  # noqa: B006
    structure: Annotated[list[str], typer.Option(help="Only where one of these was judged.")] = [],  # noqa: B006
    site: Annotated[list[str], typer.Option(help="Only this pseudonymous site; may be repeated.")] = [],  # noqa: B006
    certainty: Annotated[int, typer.Option(min=0, max=3, help="Least certainty that the mask's author said.")] = 0,
) -> None:
    """Freeze what is accepted now. Who is in validation or test of it is never learnt from in this project."""
    frozen = _in(project).datasets.freeze(
        sequence_classes=sequence, verdicts=verdict, structures=structure, sites=site, least_certainty=certainty
    )
    sizes = ", ".join(f"{part} {size}" for part, size in zip(PARTS, _sizes(frozen), strict=True))
    say(f"Dataset {frozen['digest'][:12]}: series (patients) in {sizes}.")


@app.command(epilog="Example:  irp datasets show 3f2a9c11 -p study-a")
def show(
    project: InProject, digest: Digest, as_json: Annotated[bool, typer.Option("--json", help="All of it.")] = False
) -> None:
    """What a dataset consists of: patients, series and judged slices per split, site, scanner and sequence."""
    found = _in(project).datasets.get(digest)
    if as_json:
        print_json(found)
        return
    columns = ("split", "site", "scanner", "sequence", "patients", "series", "judged slices")
    rows = [
        (c["split"], c["site"], c["scanner"], c["sequence_class"], c["patients"], c["series"], _words(c["judged"]))
        for c in found["composition"]
    ]
    table(f"dataset {found['digest'][:12]}", columns, rows)
    say(f"Rules: {_words(found['rules']) or 'of before rules were written down'}.")


@app.command(epilog="Example:  irp datasets sheet 3f2a9c11 -p study-a -o datasheet.md")
def sheet(
    project: InProject,
    digest: Digest,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; left out: standard output.")] = None,
) -> None:
    """The data sheet as Markdown: motivation, composition, collection, rules, limits; no patient data."""
    text = _in(project).datasets.sheet(digest)
    if output is None:
        typer.echo(text)
        return
    output.write_text(text, encoding="utf-8")
    say(f"{output} is written.")


def _in(project: str) -> Project:
    return Irp.from_environment().project(project)


def _sizes(dataset: dict[str, Any]) -> list[str]:
    sizes = [dataset[part] for part in PARTS]
    return [f"{one['series']} ({'-' if one['patients'] is None else one['patients']})" for one in sizes]


def _words(found: dict[str, Any]) -> str:
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in found.items()}
    return "; ".join(f"{name} {value}" for name, value in shown.items() if value)
