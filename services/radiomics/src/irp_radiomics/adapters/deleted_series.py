"""What radiomics keeps of series: what stands against deleting them, and what goes with them."""

from __future__ import annotations

from collections.abc import Sequence

from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_chassis.db import Database
from irp_chassis.departures import leave
from irp_chassis.operations import SeriesReference
from sqlalchemy import select

from irp_radiomics.adapters.db import CASE, PROPOSAL, SERIES


class DeletedSeries:
    """A series with an accepted mask is a case of the feature table, and held by it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def references(self, project: str, series_uids: Sequence[str]) -> list[SeriesReference]:
        """Cases, with features or waiting for them."""
        query = select(CASE.c.series_uid, CASE.c.extracted).where(
            CASE.c.project == project, CASE.c.series_uid.in_(series_uids)
        )
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(CASE.c.series_uid))).all()
        return [
            SeriesReference(
                kind="features",
                id=row.series_uid,
                series_uid=row.series_uid,
                state="extracted" if row.extracted else "waiting",
            )
            for row in rows
        ]

    async def forget(self, fact: SeriesDeleted) -> None:
        """The series up to this version, and the newest proposal, unless a newer volume is known."""
        of_series, of_proposal = (
            (table.c.project == fact.project.id) & (table.c.series_uid == fact.series_uid)
            for table in (SERIES, PROPOSAL)
        )
        async with self._database.transaction() as tx:
            await leave(tx, fact.project.id, fact.series_uid, fact.aggregate.version)
            known = (await tx.execute(select(SERIES.c.version).where(of_series))).scalar()
            if known is not None and known > fact.aggregate.version:
                return
            await tx.execute(SERIES.delete().where(of_series))
            await tx.execute(PROPOSAL.delete().where(of_proposal))
