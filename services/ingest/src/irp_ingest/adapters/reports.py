"""Rows of reports."""

from __future__ import annotations

import dataclasses
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.again import again_if_aborted
from irp_chassis.db import Database
from irp_chassis.paging import read_page
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import ObjectRef
from sqlalchemy import select

from irp_ingest.adapters.db import REPORT
from irp_ingest.app.write_report import KeptReport
from irp_ingest.domain.errors import ReportUnknown


class SqlReports:
    """See app.write_report.Reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @again_if_aborted
    async def keep(self, report: KeptReport) -> None:
        """See Reports.keep."""
        async with self._database.transaction() as tx:
            await tx.insert_once(REPORT, dataclasses.asdict(report), keys=("project", "id"))

    async def find(self, project: str, id: str) -> KeptReport:
        """See Reports.find."""
        query = select(REPORT).where(REPORT.c.project == project, REPORT.c.id == id)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise ReportUnknown
        return _kept(row)

    async def page(self, project: str, after: str, limit: int) -> tuple[list[KeptReport], str]:
        """Reports by time, and where the next page begins; empty = this was the last one."""
        query = select(REPORT).where(REPORT.c.project == project)
        rows, following = await read_page(self._database, query, (REPORT.c.at, REPORT.c.id), after, limit)
        return [_kept(row) for row in rows], following

    async def references(self) -> list[ObjectRef]:
        """Every object that a row refers to."""
        async with self._database.read() as connection:
            return [ObjectRef(**row.object) for row in await connection.execute(select(REPORT.c.object))]


def report_to_proto(report: KeptReport) -> pb.UploadReport:
    """KeptReport -> message."""
    said = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    said.pop("project")
    return pb.UploadReport(**said | {"object": object_ref_to_proto(report.object)})


def _kept(row: Any) -> KeptReport:
    return KeptReport(**dict(row._mapping) | {"object": ObjectRef(**row.object)})
