"""What quality keeps of series: what stands against deleting them, and what goes with them."""

from __future__ import annotations

from collections.abc import Sequence

from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_chassis.db import Database
from irp_chassis.departures import leave
from irp_chassis.operations import SeriesReference
from sqlalchemy import select

from irp_quality.adapters.db import ASSESSMENT, RATING, SERIES


class DeletedSeries:
    """Ratings are people's work and hold a series; computed reports do not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def references(self, project: str, series_uids: Sequence[str]) -> list[SeriesReference]:
        """Ratings, by rater."""
        query = select(RATING.c.uid, RATING.c.rater).where(RATING.c.project == project, RATING.c.uid.in_(series_uids))
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(RATING.c.uid, RATING.c.rater))).all()
        return [SeriesReference(kind="rating", id=f"{row.uid}/{row.rater}", series_uid=row.uid) for row in rows]

    async def forget(self, fact: SeriesDeleted) -> None:
        """The series and its report up to this version."""
        async with self._database.transaction() as tx:
            await leave(tx, fact.project.id, fact.series_uid, fact.aggregate.version)
            for table in (SERIES, ASSESSMENT):
                here = (table.c.project == fact.project.id) & (table.c.uid == fact.series_uid)
                await tx.execute(table.delete().where(here, table.c.version <= fact.aggregate.version))
