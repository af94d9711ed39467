"""The relay: what a transaction announced is published after its commit, in order, at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import nats.errors
import structlog
from irp_kernel.errors import Aborted
from nats.js.errors import APIError
from sqlalchemy import Delete, Row, Select, select

from irp_chassis.db import Database
from irp_chassis.failpoints import AFTER_PUBLISH, pass_failpoint
from irp_chassis.jetstream import JetStream
from irp_chassis.telemetry import FACTS_PUBLISHED

BATCH = 64  # rows read at once
IDLE_S = 1.0  # seconds between looks when nobody rings


class OutboxRelay:
    """Publishes the outbox of one room."""

    def __init__(self, database: Database, stream: JetStream) -> None:
        self._database, self._stream = database, stream
        self._table = database.metadata.tables["outbox"]
        self._rung = asyncio.Event()
        self._log = structlog.get_logger(part="outbox")
        database.on_announced = self._rung.set

    async def run(self, stopping: asyncio.Event) -> None:
        """Publish until `stopping`; what is left stays in the table."""
        while not stopping.is_set():
            self._rung.clear()
            try:
                while await self.publish_batch():
                    pass
            except (nats.errors.Error, APIError, OSError, TimeoutError, Aborted) as error:
                self._log.warning("facts_waiting", error=type(error).__name__)
                await asyncio.sleep(0.5)
            try:
                await asyncio.wait_for(self._rung.wait(), IDLE_S)
            except TimeoutError:
                continue

    async def publish_batch(self) -> int:
        """Publish the oldest rows and remove them; how many there were.

        On PostgreSQL the rows are locked while they are published, so that replicas share the work; on SQLite this
        process is the only one, and a lock would keep writers waiting.
        """
        if self._database.is_sqlite:
            async with self._database.read() as connection:
                rows = (await connection.execute(self._oldest())).all()
            return await self._publish(rows)
        async with self._database.transaction(mark=False) as tx:
            rows = (await tx.execute(self._oldest().with_for_update(skip_locked=True))).all()
            for row in rows:
                await self._send(row)
            await tx.execute(self._remove(rows))
        return len(rows)

    async def _publish(self, rows: Sequence[Row[Any]]) -> int:
        for row in rows:
            await self._send(row)
        if rows:
            async with self._database.transaction(mark=False) as tx:
                await tx.execute(self._remove(rows))
        return len(rows)

    async def _send(self, row: Row[Any]) -> None:
        await self._stream.publish(row.subject, row.data, message_id=row.message_id, traceparent=row.traceparent)
        FACTS_PUBLISHED.labels(row.subject.rpartition(".")[0]).inc()
        pass_failpoint(AFTER_PUBLISH)

    def _oldest(self) -> Select[Any]:
        return select(self._table).order_by(self._table.c.id).limit(BATCH)

    def _remove(self, rows: Sequence[Row[Any]]) -> Delete:
        return self._table.delete().where(self._table.c.id.in_([row.id for row in rows]))
