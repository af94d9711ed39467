"""What inference forgets of series that were deleted; nothing it keeps stands against deleting them."""

from __future__ import annotations

from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_chassis.db import Database
from irp_chassis.departures import leave

from irp_inference.adapters.db import SERIES


class DeletedSeries:
    """Where a volume lies is all that is kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget(self, fact: SeriesDeleted) -> None:
        """Versions up to the deleted one."""
        here = (SERIES.c.project == fact.project.id) & (SERIES.c.uid == fact.series_uid)
        async with self._database.transaction() as tx:
            await leave(tx, fact.project.id, fact.series_uid, fact.aggregate.version)
            await tx.execute(SERIES.delete().where(here, SERIES.c.version <= fact.aggregate.version))
