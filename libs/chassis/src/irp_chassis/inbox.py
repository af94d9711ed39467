"""What a room has handled, what failed, and what was parked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from irp_chassis.db import Database

DONE_KEPT_S = 30 * 24 * 3600.0  # seconds that a "done" mark is kept; JetStream has forgotten the message long before


@dataclass(frozen=True, slots=True)
class Parked:
    """A fact that was put aside."""

    durable: str
    message_id: str
    subject: str
    reason: str
    failures: int
    at: float
    data: bytes


class Inbox:
    """The inbox table of one room."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = database.metadata.tables["inbox"]

    async def state(self, durable: str, message_id: str) -> tuple[str, int]:
        """State and failures of a message; ("new", 0) if it was never seen."""
        table = self._table
        query = select(table.c.state, table.c.failures).where(
            table.c.durable == durable, table.c.message_id == message_id
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return (row.state, row.failures) if row else ("new", 0)

    async def put(self, durable: str, message_id: str, **values: Any) -> None:
        """Write state, failures, reason, subject and data of a message."""
        row = {"durable": durable, "message_id": message_id, "at": time.time(), **values}
        async with self._database.transaction(mark=False) as tx:
            await tx.upsert(self._table, row, keys=("durable", "message_id"))

    async def in_state(self, state: str) -> list[Parked]:
        """Every message in a state, oldest first."""
        table = self._table
        async with self._database.read() as connection:
            rows = (await connection.execute(select(table).where(table.c.state == state).order_by(table.c.at))).all()
        return [Parked(r.durable, r.message_id, r.subject, r.reason, r.failures, r.at, r.data or b"") for r in rows]

    async def replay(self, message_ids: list[str]) -> int:
        """Hand parked messages to their handler again; an empty list means all. How many there are."""
        table = self._table
        statement = table.update().where(table.c.state == "parked").values(state="replay", failures=0)
        if message_ids:
            statement = statement.where(table.c.message_id.in_(message_ids))
        async with self._database.transaction(mark=False) as tx:
            return (await tx.execute(statement)).rowcount

    async def prune(self) -> None:
        """Forget marks that are older than any redelivery."""
        table = self._table
        old = table.delete().where(table.c.state == "done", table.c.at < time.time() - DONE_KEPT_S)
        async with self._database.transaction(mark=False) as tx:
            await tx.execute(old)
