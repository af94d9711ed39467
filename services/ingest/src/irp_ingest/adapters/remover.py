"""Removes the objects of what was deleted; killed anywhere, it begins again and changes nothing that is done."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import structlog
from irp_chassis.db import Database, Transaction
from irp_chassis.failpoints import BEFORE_REMOVAL, pass_failpoint
from irp_chassis.objects import Objects
from irp_kernel.errors import IrpError
from sqlalchemy import exists, select

from irp_ingest.adapters.db import DELETION, INSTANCE, METADATA, SERIES
from irp_ingest.adapters.sweeper import KIND

LOOK_S = 0.5
JOB = METADATA.tables["job"]
# What is being assembled may hold images that are deleted, and is put when it is ready: removed after that, not before.
ASSEMBLING = exists().where(
    JOB.c.kind == KIND,
    JOB.c.state == "running",
    JOB.c.key.like(DELETION.c.project + "/" + DELETION.c.series_uid + "/%"),
)
OLDEST = select(DELETION).where(DELETION.c.leaving.is_(True), ~ASSEMBLING).limit(1)


class Remover:
    """Works through the series that have objects to remove, one at a time."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects
        self._log = structlog.get_logger(part="remover")

    async def run(self, stopping: asyncio.Event) -> None:
        """Look twice a second until `stopping`."""
        while not stopping.is_set():
            try:
                while await self.remove_next():
                    pass
            except IrpError as error:  # the store is away, or another replica did the same
                self._log.warning("objects_waiting", reason=error.reason)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)

    async def remove_next(self) -> bool:
        """Remove the objects of one series; False if none waits.

        On PostgreSQL the row is locked meanwhile: a second remover, still busy with an old list, could take what was
        stored anew. On SQLite this process is the only one, and a lock would keep writers waiting.
        """
        if self._database.is_sqlite:
            async with self._database.read() as connection:
                row = (await connection.execute(OLDEST)).first()
            if row is not None:
                await self._remove(row)
                async with self._database.transaction() as tx:
                    await self._finish(tx, row)
            return row is not None
        async with self._database.transaction() as tx:
            row = (await tx.execute(OLDEST.with_for_update(skip_locked=True))).first()
            if row is not None:
                await self._remove(row)
                await self._finish(tx, row)
        return row is not None

    async def _remove(self, row: Any) -> None:
        """Everything under the series that no row refers to; no row can come while it is leaving."""
        there = await self._objects.keys(project=row.project, entity="series", id=row.series_uid)
        kept = await self._kept(row.project, row.series_uid)
        pass_failpoint(BEFORE_REMOVAL)
        await self._objects.remove([key for key in there if key not in kept])
        self._log.info("objects_removed", series=row.series_uid, objects=len(there) - len(kept))

    async def _kept(self, project: str, series_uid: str) -> set[str]:
        instances = select(INSTANCE.c.object).where(INSTANCE.c.project == project, INSTANCE.c.series_uid == series_uid)
        result = select(SERIES.c.result).where(SERIES.c.project == project, SERIES.c.uid == series_uid)
        async with self._database.read(at_once=True) as connection:
            found = list((await connection.execute(instances)).scalars())
            assembled = (await connection.execute(result)).scalar() or {}
        found += [assembled[name] for name in ("volume", "header", "instances") if name in assembled]
        return {ref["key"] for ref in found}

    async def _finish(self, tx: Transaction, row: Any) -> None:
        """Let uploads in again; what is left of the series is assembled anew."""
        seen = (DELETION.c.project == row.project) & (DELETION.c.series_uid == row.series_uid)
        seen &= DELETION.c.changes == row.changes
        done = await tx.execute(DELETION.update().where(seen).values(leaving=False, removals=DELETION.c.removals + 1))
        if done.rowcount:
            here = (SERIES.c.project == row.project) & (SERIES.c.uid == row.series_uid)
            again = {"quiet_until": time.time(), "queued": False, "changes": SERIES.c.changes + 1}
            await tx.execute(SERIES.update().where(here).values(**again))
