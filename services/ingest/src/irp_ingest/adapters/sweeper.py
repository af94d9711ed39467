"""Finds complete series and queues their assembly; the time is read from the row, so any replica may sweep."""

from __future__ import annotations

import asyncio
import contextlib
import time

from irp_chassis.db import Database
from irp_chassis.jobs import Job, JobHandler
from irp_kernel.errors import Aborted
from sqlalchemy import select

from irp_ingest.adapters.convert import project_from_json
from irp_ingest.adapters.db import SERIES
from irp_ingest.app.assemble_series import AssembleSeries

LOOK_S = 0.5
BATCH = 100
KIND = "assemble"


class Sweeper:
    """Queues one job per complete series and state of it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stopping: asyncio.Event) -> None:
        """Look twice a second until `stopping`."""
        while not stopping.is_set():
            with contextlib.suppress(Aborted):  # another replica swept the same rows
                await self.sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)

    async def sweep(self) -> None:
        """Queue what is complete now."""
        due = select(SERIES).where(SERIES.c.queued.is_(False), SERIES.c.quiet_until <= time.time()).limit(BATCH)
        async with self._database.read() as connection:
            if (await connection.execute(due)).first() is None:
                return
        async with self._database.transaction() as tx:
            for row in (await tx.execute(due)).all():
                payload = {"project": row.project_ref, "series_uid": row.uid}
                await tx.enqueue(KIND, key=f"{row.project}/{row.uid}/{row.changes}", payload=payload)
                here = (SERIES.c.project == row.project) & (SERIES.c.uid == row.uid)
                await tx.execute(SERIES.update().where(here, SERIES.c.changes == row.changes).values(queued=True))


def assemble_job(assemble: AssembleSeries) -> JobHandler:
    """The handler of queued assemblies."""

    async def work(job: Job) -> None:
        await assemble(project_from_json(job.payload["project"]), job.payload["series_uid"])

    return work
