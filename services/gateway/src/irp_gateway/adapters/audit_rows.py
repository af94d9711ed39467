"""Who did what to which identifiers, when: append-only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from irp_chassis.db import Database
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select

from irp_gateway.adapters.db import AUDIT


class AuditLine(BaseModel):
    """One line of the audit log."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    at: str
    subject: str
    project: str
    action: str
    target: str
    status: int


MOST_AT_ONCE = 256  # lines of one commit


class AuditRows:
    """Writes and reads the log.

    Lines that come while a commit is on its way to the disk share the next one: many readers cost few commits.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, *, subject: str, project: str, action: str, target: str, status: int) -> None:
        """Append one line; it is on disk when this returns."""
        row = {"subject": subject, "project": project[:48], "action": action, "target": target[:512], "status": status}
        written = asyncio.get_running_loop().create_future()
        self._waiting.append(({"at": datetime.now(UTC).isoformat(), **row}, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        await written

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST_AT_ONCE], self._waiting[MOST_AT_ONCE:]
                await self._commit([row for row, _ in batch], [written for _, written in batch])
        finally:
            self._writing = None

    async def _commit(self, rows: list[dict[str, Any]], written: list[asyncio.Future[None]]) -> None:
        failed: Exception | None = None
        try:
            await self._database.append(AUDIT, rows)
        except Exception as error:
            if len(rows) > 1:  # one line that the database does not take must not take the others with it
                for row, future in zip(rows, written, strict=True):
                    await self._commit([row], [future])
                return
            failed = error
        for future in written:
            if future.done():  # whoever asked has left; his line stands all the same
                continue
            if failed is None:
                future.set_result(None)
            else:
                future.set_exception(failed)

    async def lines(self, *, project: str, after: int, limit: int) -> list[AuditLine]:
        """Lines after an id, oldest first; of one project, or ("") of all."""
        query = select(AUDIT).where(AUDIT.c.id > after).order_by(AUDIT.c.id).limit(limit)
        if project:
            query = query.where(AUDIT.c.project == project)
        async with self._database.read() as connection:
            return [AuditLine.model_validate(row) for row in (await connection.execute(query)).all()]
