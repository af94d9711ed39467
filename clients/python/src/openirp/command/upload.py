"""`irp upload`: finds, groups, de-identifies and sends; goes on where it was cut."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from irp_kernel.errors import IrpError

from openirp.client import Irp
from openirp.command.console import looking, print_json, say, sending, table
from openirp.command.deid import show
from openirp.command.images import InProject
from openirp.project import Project
from openirp.stow import QUARANTINED

if TYPE_CHECKING:
    from openirp.uploader.plan import Plan
    from openirp.uploader.send import Sender
    from openirp.uploader.tally import Tally

INTERRUPTED = 130
REQUIRED = "required"
WORDS = {QUARANTINED: "no: waits in quarantine"}
EXAMPLES = (
    "Examples:  irp upload scans/ -p study-a  ·  irp upload scans.zip -p study-a --dry-run  ·  "
    "irp upload /media/cd/DICOMDIR -p study-a --local --workers 4"
)


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(epilog=EXAMPLES)(upload)


def upload(
    source: Annotated[
        Path, typer.Argument(exists=True, help="Folder, ZIP archive, DICOMDIR (with its files), or one DICOM file.")
    ],
    project: InProject,
    local: Annotated[
        bool | None,
        typer.Option(
            "--local/--no-local",
            help="De-identify on this machine, before sending; default: if the project demands it.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; tell what would be sent and changed.")
    ] = False,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Processes that de-identify.", show_default="one per core, at most 4")
    ] = min(os.cpu_count() or 1, 4),
    streams: Annotated[int, typer.Option(min=1, max=4, help="Requests at a time.")] = 2,
    restart: Annotated[
        bool, typer.Option("--restart/--resume", help="Forget what an interrupted upload had sent, or go on there.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="JSON instead of tables.")] = False,
) -> None:
    """Send DICOM files; they are de-identified before anything is stored.

    With --local that happens here: nothing else leaves this machine, a report signed with the site's key goes along,
    and the other side checks every file. An interrupted upload goes on when the same command is given again.
    """
    from openirp.uploader.items import SourceNotReadable  # pydicom takes its time; other commands need not wait

    there = Irp.from_environment().project(project)
    try:
        plan = _plan(source, json=json)
        if dry_run:
            _dry_run(there, plan, json=json)
            return
        tally = _send(there, source, plan, restart, lambda state: _sender(there, state, local, workers, streams))
    except SourceNotReadable as error:
        raise typer.BadParameter(str(error)) from None
    except IrpError as error:
        raise typer.BadParameter(f"{error.title()} {error.message}") from None
    _show(plan, tally, json=json)
    if tally.refused.total() > tally.waiting or not tally.files:
        raise typer.Exit(1)
    if not json:
        then = f"  ·  irp quarantine list -p {project}" if tally.waiting else ""
        say(f"Next: irp series list -p {project}{then}")


def _plan(source: Path, *, json: bool) -> Plan:
    from openirp.uploader.plan import make_plan
    from openirp.uploader.sources import find

    with looking() as bar:
        task = bar.add_task("Looking", total=None)
        plan = make_plan(find(source), lambda: bar.advance(task))
    if not json:
        say(
            f"{plan.count('patient')} patients, {plan.count('patient', 'study')} studies, "
            f"{plan.count('patient', 'study', 'series')} series: {len(plan.found)} files, {plan.size / 1e6:.1f} MB"
            + "".join(f"; {count} {reason}" for reason, count in sorted(plan.left.items()))
        )
    return plan


def _sender(project: Project, state: Any, local: bool | None, workers: int, streams: int) -> Sender:
    from openirp.uploader.send import Sender, orders_of

    here = _demands_it(project.configuration()) if local is None else local
    orders = orders_of(project) if here else None
    say("De-identified on this machine." if orders else "De-identified where it arrives.")
    return Sender(project, state, orders, workers=workers, streams=streams)


def _demands_it(configuration: Mapping[str, Any]) -> bool:
    return bool(configuration.get("deidentification", {}).get("before_arrival") == REQUIRED)


def _send(project: Project, source: Path, plan: Plan, restart: bool, sender: Any) -> Tally:
    from openirp.uploader.state import UploadState, state_folder

    state = UploadState(state_folder(), project.http.url, project.name, source)
    if restart:
        state.forget()
    before = state.tally.files
    if before:
        say(f"{before} files were answered in an earlier run.")
    send = sender(state)
    try:
        with sending() as bar:
            left = sum(one.item.size for one in plan.found if not state.is_answered(one.item))
            task = bar.add_task("Sending", total=left, files=f"0/{len(plan.found) - before} files")

            def on_batch(tally: Tally) -> None:
                done = state.tally.files - before
                bar.update(task, advance=tally.sent_bytes, files=f"{done}/{len(plan.found) - before} files")

            tally: Tally = send(plan, on_batch)
    except KeyboardInterrupt:
        say("Interrupted. The same command goes on from here; requests under way are finished first.")
        raise typer.Exit(INTERRUPTED) from None
    state.forget()
    return tally


def _dry_run(project: Project, plan: Plan, *, json: bool) -> None:
    from openirp.dry_run import dry_run

    section = project.configuration().get("deidentification", {})
    run = dry_run((one.item.read() for one in plan.found), section)
    run.skipped = plan.left.total()
    if json:
        print_json(run.to_dict() | {"left": dict(plan.left), "bytes": plan.size})
    else:
        show(run, "")


def _show(plan: Plan, tally: Tally, *, json: bool) -> None:
    if json:
        print_json(_document(plan, tally))
        return
    rows: list[tuple[Any, ...]] = [
        (uid, one.modality, one.stored + one.already, one.stored, one.already, "")
        for uid, one in sorted(tally.series.items())
    ]
    rows += [("-", "", count, 0, 0, WORDS.get(reason, reason)) for reason, count in sorted(tally.refused.items())]
    rows += [("-", "", count, 0, 0, f"not sent: {reason}") for reason, count in sorted(plan.left.items())]
    columns = ("series_uid", "modality", "files", "stored", "already", "refused")
    table(f"{tally.stored} of {len(plan.found)} files stored", columns, rows)


def _document(plan: Plan, tally: Tally) -> dict[str, Any]:
    series = [
        {"series_uid": uid, "modality": one.modality, "stored": one.stored, "already": one.already}
        for uid, one in sorted(tally.series.items())
    ]
    refused, left = dict(sorted(tally.refused.items())), dict(sorted(plan.left.items()))
    return {"files": len(plan.found), "stored": tally.stored, "series": series, "refused": refused, "left": left}
