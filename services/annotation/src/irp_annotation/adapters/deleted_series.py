"""What annotation keeps of series: what stands against deleting them, and what goes with them."""

from __future__ import annotations

from collections.abc import Sequence

from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_chassis.db import Database
from irp_chassis.departures import leave
from irp_chassis.operations import SeriesReference
from sqlalchemy import select

from irp_annotation.adapters.db import SEGMENTATION, SERIES
from irp_annotation.domain.review import State


class DeletedSeries:
    """Segmentations that a person drew or judged stay; proposals that nobody looked at do not hold a series."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def references(self, project: str, series_uids: Sequence[str]) -> list[SeriesReference]:
        """Versions that people made."""
        query = select(SEGMENTATION.c.id, SEGMENTATION.c.series_uid, SEGMENTATION.c.state).where(
            SEGMENTATION.c.project == project,
            SEGMENTATION.c.series_uid.in_(series_uids),
            SEGMENTATION.c.state != State.PROPOSED.value,
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(SEGMENTATION.c.series_uid, SEGMENTATION.c.version))).all()
        return [
            SeriesReference(kind="segmentation", id=row.id, series_uid=row.series_uid, state=row.state) for row in rows
        ]

    async def forget(self, fact: SeriesDeleted) -> None:
        """The grid up to this version, and proposals on it; numbers of versions go on where they were."""
        project, uid, version = fact.project.id, fact.series_uid, fact.aggregate.version
        grid = (SERIES.c.project == project) & (SERIES.c.uid == uid) & (SERIES.c.version <= version)
        proposals = (SEGMENTATION.c.project == project) & (SEGMENTATION.c.series_uid == uid)
        proposals &= (SEGMENTATION.c.state == State.PROPOSED.value) & (SEGMENTATION.c.volume_version <= version)
        async with self._database.transaction() as tx:
            await leave(tx, project, uid, version)
            await tx.execute(SERIES.delete().where(grid))
            await tx.execute(SEGMENTATION.delete().where(proposals))
