"""Instances leave: their rows at once, with the fact that says so; their objects afterwards (see remover.py).

An object's key is its content's, so what is uploaded again has the key of what was deleted. While objects of a series
are being removed nothing of it is added, and an object that was put before they were removed is put again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_chassis.again import again_if_aborted
from irp_chassis.db import Database, Transaction
from sqlalchemy import func, select

from irp_ingest.adapters.convert import project_to_proto
from irp_ingest.adapters.criteria import DESCRIPTION, MODALITY, first_text, study_columns
from irp_ingest.adapters.db import DELETION, INSTANCE, SERIES, STUDY
from irp_ingest.app.ports import ProjectAt
from irp_ingest.domain.deletion import Deleted, Target, require_asked
from irp_ingest.domain.errors import ObjectsWereRemoved, SeriesBeingDeleted

NEVER = 1e12  # seconds since 1970: the series is assembled again once its objects are removed
SOP_UID = "00080018"


class SqlDeletion:
    """Deletes what a target names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @again_if_aborted
    async def __call__(self, project: ProjectAt, target: Target, asked: Collection[str]) -> Deleted:
        """One transaction; nothing there is nothing to do, so that it may be said twice.

        Raises:
            SeriesChanged: a series came in the meantime whose references nobody asked for.
        """
        async with self._database.transaction() as tx:
            leaving = _Leaving(tx, project, target)
            left = await leaving.by_series()
            require_asked(left, asked)
            await tx.execute(INSTANCE.delete().where(leaving.instances))
            gone = [uid for uid, count in left.items() if not await leaving.series(uid, count)]
            await leaving.study()
        return Deleted(instances=sum(left.values()), series=len(gone))


class _Leaving:
    """One deletion inside its transaction."""

    def __init__(self, tx: Transaction, project: ProjectAt, target: Target) -> None:
        self._tx, self._project, self._target = tx, project, target
        self.instances = (INSTANCE.c.project == project.id) & (INSTANCE.c.study_uid == target.study_uid)
        for column, uid in ((INSTANCE.c.series_uid, target.series_uid), (INSTANCE.c.sop_uid, target.sop_uid)):
            self.instances = self.instances & (column == uid) if uid else self.instances

    async def by_series(self) -> Counter[str]:
        """How many instances each series loses."""
        query = select(INSTANCE.c.series_uid, func.count().label("n")).where(self.instances)
        rows = await self._tx.execute(query.group_by(INSTANCE.c.series_uid))
        return Counter({row.series_uid: row.n for row in rows})

    async def series(self, uid: str, lost: int) -> int:
        """One series without them; how many are left."""
        here = (SERIES.c.project == self._project.id) & (SERIES.c.uid == uid)
        row = (await self._tx.execute(select(SERIES).where(here))).one()
        left = int(row._mapping["count"]) - lost
        if left:
            changed = await self._header(row)
            values = {"count": left, "changes": row.changes + 1, "version": row.version + 1, "result": None}
            values |= {"state": "receiving", "reason": "", "message": "", "quiet_until": NEVER, "queued": False}
            await self._tx.execute(SERIES.update().where(here).values(**values, **changed))
        else:
            await self._tx.execute(SERIES.delete().where(here))
        await self._mark(row, left)
        return left

    async def _mark(self, row: Any, left: int) -> None:
        """Remember and announce."""
        known = await deletion_of(self._tx, row.project, row.uid)
        mark = {"project": row.project, "series_uid": row.uid, "version": row.version + 1, "changes": row.changes + 1}
        mark |= {"leaving": True, "removals": known.removals if known else 0}
        await self._tx.upsert(DELETION, mark, keys=("project", "series_uid"))
        fact = SeriesDeleted(project=project_to_proto(self._project), study_uid=row.study_uid, series_uid=row.uid)
        fact.aggregate.id, fact.aggregate.version, fact.instances = row.uid, row.version + 1, left
        await self._tx.announce(fact)

    async def _header(self, row: Any) -> dict[str, Any]:
        """Another instance's header where the one that spoke for the series is gone."""
        query = select(INSTANCE.c.sop_uid, INSTANCE.c.header)
        query = query.where(INSTANCE.c.project == row.project, INSTANCE.c.series_uid == row.uid)
        said = (await self._tx.execute(query.where(INSTANCE.c.sop_uid == first_text(row.header, SOP_UID)))).first()
        header = (said or (await self._tx.execute(query.order_by(INSTANCE.c.sop_uid).limit(1))).one()).header
        columns = {"modality": first_text(header, MODALITY), "description": first_text(header, DESCRIPTION)}
        return {"header": header, **columns}

    async def study(self) -> None:
        """The study's row goes with its last series; else a series that is left speaks for it."""
        here = (STUDY.c.project == self._project.id) & (STUDY.c.uid == self._target.study_uid)
        query = select(SERIES.c.header).where(SERIES.c.project == self._project.id)
        query = query.where(SERIES.c.study_uid == self._target.study_uid).order_by(SERIES.c.uid).limit(1)
        header = (await self._tx.execute(query)).scalar()
        if header is None:
            await self._tx.execute(STUDY.delete().where(here))
        else:
            await self._tx.execute(STUDY.update().where(here).values(header=header, **study_columns(header)))


async def deletion_of(tx: Transaction, project: str, series_uid: str) -> Any:
    """The row of a series that instances were deleted from; None if there never was one."""
    query = select(DELETION).where(DELETION.c.project == project, DELETION.c.series_uid == series_uid)
    return (await tx.execute(query)).first()


def require_put_since(deleted: Any, removals: int) -> None:
    """An object that is about to get its row must have been put after the last removal.

    Raises:
        SeriesBeingDeleted: a removal is going on.
        ObjectsWereRemoved: it was put before the last one.
    """
    if deleted is None:
        return
    if deleted.leaving:
        raise SeriesBeingDeleted
    if deleted.removals != removals:
        raise ObjectsWereRemoved(removals=deleted.removals)


async def remove_again(tx: Transaction, project: str, series_uid: str) -> None:
    """Objects were made of a series that had been deleted meanwhile: remove what is there once more."""
    here = (DELETION.c.project == project) & (DELETION.c.series_uid == series_uid)
    living = select(SERIES.c.uid).where(SERIES.c.project == project, SERIES.c.uid == series_uid)
    if (await tx.execute(living)).first() is None:
        await tx.execute(DELETION.update().where(here).values(leaving=True))
