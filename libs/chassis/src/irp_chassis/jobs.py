"""Long work: a row with a lease. A killed process loses its lease, and another takes the row up again."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from irp_kernel.errors import IrpError
from sqlalchemy import and_, or_, select

from irp_chassis.cancelled import is_told_to_end
from irp_chassis.db import Database
from irp_chassis.delivery import BACK_OFF_S, retry_or_park
from irp_chassis.telemetry import JOBS_RUN, span

LEASE_S = 15.0  # seconds; renewed three times as often
IDLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of long work.

    Attributes:
        kind: which handler.
        key: identity within the kind; queued once.
        payload: what the handler needs; no patient attributes.
        attempt: 1 for the first try.
    """

    kind: str
    key: str
    payload: dict[str, Any]
    attempt: int


JobHandler = Callable[[Job], Awaitable[None]]


class JobRunner:
    """Takes rows of one kind, oldest first, and runs them with a renewed lease.

    Args:
        kind: of the rows.
        handler: that does the work.
        database: with the rows.
        first: SQL expressions over the job table that rows are sorted by before their age.
    """

    def __init__(self, kind: str, handler: JobHandler, database: Database, first: Sequence[Any] = ()) -> None:
        self._kind, self._handler, self._database = kind, handler, database
        self._order = first
        self._table = database.metadata.tables["job"]
        self._owner = uuid.uuid4().hex
        self.rung = asyncio.Event()
        self._log = structlog.get_logger(job=kind)

    async def run(self, stopping: asyncio.Event) -> None:
        """Run jobs until `stopping`; a job that is cut off goes back to the queue."""
        while not stopping.is_set():
            self.rung.clear()
            try:
                job = await self._take()
            except Exception as error:
                self._log.error("jobs_unreachable", exc_info=error)
                job = None
            if job is not None:
                await self._work(job)
                continue
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.rung.wait(), IDLE_S)

    async def release_all(self) -> None:
        """On SQLite, at start: whoever held a lease is dead, for this process is the only one."""
        table = self._table
        async with self._database.transaction(mark=False) as tx:
            await tx.execute(
                table.update().where(table.c.kind == self._kind, table.c.state == "running").values(lease_until=0.0)
            )

    async def _take(self) -> Job | None:
        table, now = self._table, time.time()
        free = or_(
            and_(table.c.state == "queued", table.c.not_before <= now),
            and_(table.c.state == "running", table.c.lease_until < now),
        )
        query = select(table).where(table.c.kind == self._kind, free)
        query = query.order_by(*self._order, table.c.created_at).limit(1)
        async with self._database.read() as connection:
            if (await connection.execute(query)).first() is None:
                return None
        async with self._database.transaction(mark=False) as tx:
            row = (await tx.execute(query.with_for_update(skip_locked=True))).first()
            if row is None:
                return None
            await self._set(
                tx, row.key, state="running", owner=self._owner, lease_until=now + LEASE_S, attempts=row.attempts + 1
            )
        return Job(row.kind, row.key, row.payload, row.attempts + 1)

    async def _work(self, job: Job) -> None:
        outcome: dict[str, Any] = {"state": "queued", "not_before": 0.0}
        work = asyncio.create_task(self._traced(job))
        beat = asyncio.create_task(self._renew(job, work))
        try:
            await work
            outcome = {"state": "done", "reason": ""}
        except asyncio.CancelledError:
            if is_told_to_end():
                raise
            self._log.warning("job_lost", key=job.key, attempt=job.attempt)
        except Exception as error:
            outcome = self._after_failure(job, error)
        finally:
            beat.cancel()
            JOBS_RUN.labels(job.kind, outcome["state"]).inc()
            await asyncio.shield(self._finish(job, outcome))

    def _after_failure(self, job: Job, error: Exception) -> dict[str, Any]:
        reason = error.reason if isinstance(error, IrpError) else type(error).__name__
        wait_s = retry_or_park(error, job.attempt)
        self._log.error("job_failed", key=job.key, reason=reason, attempt=job.attempt, retry_s=wait_s, exc_info=error)
        if wait_s is None:
            return {"state": "failed", "reason": reason}
        return {"state": "queued", "reason": reason, "not_before": time.time() + max(wait_s, BACK_OFF_S[2])}

    async def _traced(self, job: Job) -> None:
        with span(f"job {job.kind}"):
            await self._handler(job)

    async def _renew(self, job: Job, work: asyncio.Task[None]) -> None:
        """Hold the lease; end the work once somebody else has it, for then it is being done a second time."""
        while True:
            await asyncio.sleep(LEASE_S / 3)
            try:
                async with self._database.transaction(mark=False) as tx:
                    held = await self._set(tx, job.key, lease_until=time.time() + LEASE_S)
            except Exception as error:
                # Whether it is lost is not known until the database answers; then a row says so.
                self._log.warning("lease_not_renewed", key=job.key, exc_info=error)
                continue
            if not held:
                work.cancel()
                return

    async def _finish(self, job: Job, outcome: dict[str, Any]) -> None:
        try:
            async with self._database.transaction(mark=False) as tx:
                await self._set(tx, job.key, owner="", lease_until=0.0, **outcome)
        except Exception as error:
            # The lease ends by itself, and the work is done again: every step may run twice.
            self._log.error("job_end_not_written", key=job.key, exc_info=error)

    async def _set(self, tx: Any, key: str, **values: Any) -> bool:
        """Change the row; False if it is somebody else's."""
        table = self._table
        statement = table.update().where(table.c.kind == self._kind, table.c.key == key)
        if "owner" not in values or values["owner"] == "":
            statement = statement.where(table.c.owner == self._owner)
        changed = await tx.execute(statement.values(**values))
        return bool(changed.rowcount)
