"""`irp deid`: what de-identification would do to sample files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openirp.client import Irp
from openirp.command.console import print_json, say, table
from openirp.documents import read_file

if TYPE_CHECKING:
    from openirp.dry_run import DryRun


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(
        epilog="Examples:  irp deid scans/  ·  irp deid a.dcm b.dcm --config study-a.yaml  ·  "
        "irp deid scans.zip -p study-a --only kept --json"
    )(deid)


def deid(
    sources: Annotated[list[Path], typer.Argument(exists=True, help="DICOM files, folders, ZIP archives.")],
    config: Annotated[Path | None, typer.Option(help="Configuration document (YAML or JSON).")] = None,
    project: Annotated[
        str, typer.Option("--project", "-p", envvar="IRP_PROJECT", help="Project id: its newest configuration.")
    ] = "",
    only: Annotated[str, typer.Option(help="Show one fate only: kept, cleaned, replaced, emptied, removed.")] = "",
    json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Dry run: every attribute of sample files, what would become of it, and why.

    Nothing is sent or stored and no value is shown. Without --config and --project the default profile is followed.
    """
    # pydicom and numpy take their time; other commands need not wait for them
    from irp_kernel.errors import IrpError

    from openirp.dry_run import dry_run, read_all

    try:
        run = dry_run(read_all(sources), _section(config, project))
    except IrpError as error:
        raise typer.BadParameter(f"{error.title()} {error.message}") from None
    if json:
        print_json(run.to_dict())
    else:
        show(run, only)
    if not run.files:
        raise typer.Exit(1)


def _section(config: Path | None, project: str) -> Mapping[str, Any]:
    if config:
        document = read_file(config)
    else:
        document = Irp.from_environment().project(project).configuration() if project else {}
    section = document.get("deidentification", {})
    if not isinstance(section, Mapping):
        raise typer.BadParameter("deidentification is a mapping of keys to values")
    return section


def show(run: DryRun, only: str) -> None:
    """Tables of a dry run; `only` one fate if it is not empty."""
    fates = [(one, files) for one, files in run.rows() if not only or one.action == only]
    for action in dict.fromkeys(one.action for one, _ in fates):
        rows = [(one.path, one.keyword or "-", one.why, files) for one, files in fates if one.action == action]
        table(f"{action}: {len(rows)}", ("attribute", "keyword", "why", "files"), rows)
    if run.refused:
        table("refused files", ("reason", "files"), sorted(run.refused.items()))
    if run.waiting:
        table("files that would wait in quarantine", ("reason", "files"), sorted(run.waiting.items()))
    options = ", ".join(option.code for option in run.profile.options) or "no option"
    listed = run.profile.positive_list
    say(
        f"{run.files} files, {run.skipped} not DICOM. Basic Profile with {options}"
        + (f"; positive list {listed.name} v{listed.version}" if listed else "")
        + (f"; {len(run.profile.vocabulary)} words of the project" if run.profile.vocabulary else "")
        + ". Nothing was sent or stored."
    )
