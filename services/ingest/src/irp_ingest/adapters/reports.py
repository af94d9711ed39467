"""Rows of reports."""

from __future__ import annotations

import dataclasses
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.again import again_if_aborted
from irp_chassis.db import Database
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import ObjectRef
from irp_kernel.errors import InvalidArgument
from sqlalchemy import select, tuple_

from irp_ingest.adapters.db import REPORT
from irp_ingest.app.write_report import KeptReport
from irp_ingest.domain.errors import ReportUnknown

SEPARATOR = " "  # between time and id, in the place where a page ended


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
        query = select(REPORT).where(REPORT.c.project == project).order_by(REPORT.c.at, REPORT.c.id)
        if after:
            at, separator, name = after.partition(SEPARATOR)
            if not separator:
                raise InvalidArgument("`after` is not where a page ended")
            query = query.where(tuple_(REPORT.c.at, REPORT.c.id) > (at, name))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.limit(limit + 1))).all()
        found = [_kept(row) for row in rows[:limit]]
        more = len(rows) > limit
        return found, f"{found[-1].at}{SEPARATOR}{found[-1].id}" if more else ""

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
