"""Who did what to which identifiers, when: append-only."""

from __future__ import annotations

from datetime import UTC, datetime

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


class AuditRows:
    """Writes and reads the log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, *, subject: str, project: str, action: str, target: str, status: int) -> None:
        """Append one line; it is on disk when this returns."""
        row = {"subject": subject, "project": project[:48], "action": action, "target": target[:512], "status": status}
        async with self._database.transaction(mark=False) as tx:
            await tx.execute(AUDIT.insert().values(at=datetime.now(UTC).isoformat(), **row))

    async def lines(self, *, project: str, after: int, limit: int) -> list[AuditLine]:
        """Lines after an id, oldest first; of one project, or ("") of all."""
        query = select(AUDIT).where(AUDIT.c.id > after).order_by(AUDIT.c.id).limit(limit)
        if project:
            query = query.where(AUDIT.c.project == project)
        async with self._database.read() as connection:
            return [AuditLine.model_validate(row) for row in (await connection.execute(query)).all()]
