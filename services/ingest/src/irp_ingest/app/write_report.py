"""What became of an upload is written down and signed, however the upload ends: no answer without its report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol

from irp_deid.signed import sign
from irp_deid.uploads import INGEST, Draft, Rules, report_id
from irp_kernel import ObjectRef
from irp_kernel.errors import IrpError

from irp_ingest.app.outcome import Outcome
from irp_ingest.app.ports import Objects
from irp_ingest.domain.errors import ReportUnknown

JOSE = "application/jose"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptReport:
    """A report as the index holds it.

    Attributes:
        project, id: its name.
        by: "ingest" or "uploader".
        at: ISO 8601.
        site: the site's name in the project's data.
        subject: who sent the upload or the report.
        instances, refused: how many.
        complete: False if the upload was cut.
        revision: of the configuration.
        object: the compact JWS.
    """

    project: str
    id: str
    by: str
    at: str
    site: str
    subject: str
    instances: int
    refused: int
    complete: bool
    revision: int
    object: ObjectRef


class Reports(Protocol):
    """Rows of reports."""

    async def keep(self, report: KeptReport) -> None:
        """Keep a row; the same report again changes nothing."""
        ...

    async def find(self, project: str, id: str) -> KeptReport:
        """One row; ReportUnknown if there is none."""
        ...


class WriteReport:
    """Sign a report of an upload and keep it."""

    def __init__(self, objects: Objects, reports: Reports, seed: bytes, now: Callable[[], datetime]) -> None:
        self._objects, self._reports, self._seed, self._now = objects, reports, seed, now

    def of(self, rules: Rules, subject: str, declared: str = "") -> UploadLog:
        """The report of one upload that begins now; leaving it writes it."""
        return UploadLog(self, rules, subject, declared)

    async def __call__(self, log: UploadLog, *, complete: bool) -> str:
        """Object, then row; answers the report's id."""
        at, draft = self._now().isoformat(timespec="microseconds"), log.draft
        document = draft.document(INGEST, at=at, complete=complete, declared=log.declared)
        name = await asyncio.to_thread(report_id, document)
        if await is_kept(self._reports, draft.rules.project, name):
            return name
        jws = await asyncio.to_thread(sign, document, self._seed)
        report = KeptReport(
            project=draft.rules.project,
            id=name,
            by=INGEST,
            at=at,
            site=draft.rules.site,
            subject=log.subject,
            instances=len(draft.instances),
            refused=draft.refused.total(),
            complete=complete,
            revision=draft.rules.revision,
            object=await put_report(self._objects, jws, draft.rules.project, name),
        )
        await self._reports.keep(report)
        return name


class UploadLog:
    """Collects outcomes of one upload."""

    def __init__(self, write: WriteReport, rules: Rules, subject: str, declared: str) -> None:
        self._write = write
        self.draft, self.subject, self.declared = Draft(rules), subject, declared
        self.id = ""

    def note(self, outcome: Outcome) -> None:
        """A file was stored or refused."""
        if outcome.treated is None:
            self.draft.refused[outcome.reason] += 1
        else:
            self.draft.add(outcome.treated)

    async def __aenter__(self) -> UploadLog:
        """Begin."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what was noted, also of a cut upload; `id` names it afterwards."""
        if not (self.draft.instances or self.draft.refused):
            return
        if error is None:
            self.id = await self._write(self, complete=True)
            return
        with suppress(IrpError):  # the upload's own error is the one to tell
            await self._write(self, complete=False)


async def is_kept(reports: Reports, project: str, name: str) -> bool:
    """True if there is such a report already: another copy, with another time, would only lie about."""
    try:
        await reports.find(project, name)
    except ReportUnknown:
        return False
    return True


async def put_report(objects: Objects, jws: str, project: str, name: str) -> ObjectRef:
    """Store a signed report."""
    return await objects.put(
        jws.encode("ascii"),
        project=project,
        entity="upload",
        id=name,
        kind="report",
        media_type=JOSE,
        extension="jws",
    )
