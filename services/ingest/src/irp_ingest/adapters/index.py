"""The index in SQL: instances, series, rejections, clinical values; and the facts they make."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from irp.ingest.v1.events_pb2 import ClinicalRecorded, SeriesStored
from irp_chassis.again import again_if_aborted
from irp_chassis.db import Database, Transaction
from irp_kernel import ObjectRef
from sqlalchemy import select

from irp_ingest.adapters.arrivals import Arrival, SqlArrivals
from irp_ingest.adapters.convert import project_to_proto, result_to_json, series_to_proto
from irp_ingest.adapters.db import CLINICAL, INSTANCE, REJECTION, SERIES
from irp_ingest.adapters.deletion import deletion_of, remove_again
from irp_ingest.adapters.secrets import ProjectSecrets
from irp_ingest.adapters.together import Together
from irp_ingest.app.ports import Assembled, Kept, ProjectAt
from irp_ingest.domain.intake import Intake
from irp_ingest.domain.plane import planes_from_json


class SqlIndex:
    """See app.ports.Index."""

    def __init__(self, database: Database, secrets: ProjectSecrets) -> None:
        self._database, self._secrets = database, secrets
        self._arrived = Together(SqlArrivals(database))

    async def site_key(self, project: str, site: str) -> bytes:
        """See Index.site_key."""
        return await self._secrets.site_key(project, site)

    async def add(
        self, project: ProjectAt, intake: Intake, object: ObjectRef, open_s: float, removals: int = 0
    ) -> bool:
        """See Index.add."""
        arrival = Arrival(project=project, intake=intake, object=object, open_s=open_s, removals=removals)
        return await self._arrived(arrival)

    @again_if_aborted
    async def wait_until(self, project: str, series_uids: Sequence[str], quiet_until: float) -> None:
        """See Index.wait_until."""
        here = (SERIES.c.project == project) & SERIES.c.uid.in_(series_uids)
        receiving = (SERIES.c.state == "receiving") & SERIES.c.queued.is_(False)
        async with self._database.transaction() as tx:
            await tx.execute(SERIES.update().where(here, receiving).values(quiet_until=quiet_until))

    async def instances(self, project: str, series_uid: str) -> Sequence[Kept]:
        """See Index.instances."""
        query = select(INSTANCE).where(INSTANCE.c.project == project, INSTANCE.c.series_uid == series_uid)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(INSTANCE.c.sop_uid))).all()
        return [kept_of(row) for row in rows]

    async def count(self, project: str, series_uid: str) -> int | None:
        """See Index.count."""
        query = select(SERIES.c.changes).where(SERIES.c.project == project, SERIES.c.uid == series_uid)
        async with self._database.read() as connection:
            return (await connection.execute(query)).scalar()

    @again_if_aborted
    async def left_over(self, project: str, series_uid: str) -> None:
        """See Index.left_over."""
        async with self._database.transaction() as tx:
            await remove_again(tx, project, series_uid)

    @again_if_aborted
    async def assembled(self, project: ProjectAt, series_uid: str, count: int, result: Assembled) -> None:
        """See Index.assembled."""
        values = {
            "state": "assembled",
            "reason": "",
            "message": result.left_out,
            "result": result_to_json(result),
        }
        async with self._database.transaction() as tx:
            row = await self._settle(tx, project.id, series_uid, count, values, version=True)
            if row is not None:
                fact = SeriesStored(project=project_to_proto(project), series=series_to_proto(row))
                fact.aggregate.id, fact.aggregate.version = series_uid, row.version
                await tx.announce(fact)

    @again_if_aborted
    async def not_assembled(self, project: str, series_uid: str, count: int, reason: str, message: str) -> None:
        """See Index.not_assembled."""
        values = {"state": "not_assembled", "reason": reason, "message": message}
        async with self._database.transaction() as tx:
            await self._settle(tx, project, series_uid, count, values, version=False)

    async def _settle(
        self, tx: Transaction, project: str, uid: str, count: int, values: dict[str, Any], *, version: bool
    ) -> Any:
        """Write a series' outcome if nothing came or went in the meantime and it is still open; the row, or None."""
        here = (SERIES.c.project == project) & (SERIES.c.uid == uid)
        deleted = await deletion_of(tx, project, uid)
        if deleted is not None and deleted.leaving:
            return None
        if version:
            values = {**values, "version": SERIES.c.version + 1}
        done = await tx.execute(
            SERIES.update().where(here, SERIES.c.changes == count, SERIES.c.state == "receiving").values(**values)
        )
        if not done.rowcount:
            await remove_again(tx, project, uid)
            return None
        return (await tx.execute(select(SERIES).where(here))).first()

    @again_if_aborted
    async def reject(self, project: str, reason: str, message: str) -> None:
        """See Index.reject."""
        where = (REJECTION.c.project == project) & (REJECTION.c.reason == reason)
        now = datetime.now(UTC).isoformat()
        row = {"project": project, "reason": reason, "message": message, "count": 0, "at": now}
        async with self._database.transaction() as tx:
            await tx.insert_once(REJECTION, row, keys=("project", "reason"))
            await tx.execute(REJECTION.update().where(where).values(count=REJECTION.c.count + 1, at=now))

    async def references(self) -> list[ObjectRef]:
        """Every object that a row refers to."""
        async with self._database.read(at_once=True) as connection:
            instances = [row.object for row in await connection.execute(select(INSTANCE.c.object))]
            results = [row.result for row in await connection.execute(select(SERIES.c.result)) if row.result]
        found = instances + [result[name] for result in results for name in ("volume", "header", "instances")]
        return [ObjectRef(**ref) for ref in found]

    @again_if_aborted
    async def merge(
        self, project: ProjectAt, patient: str, values: dict[str, float], categories: dict[str, str]
    ) -> None:
        """See ClinicalValues.merge."""
        where = (CLINICAL.c.project == project.id) & (CLINICAL.c.patient == patient)
        async with self._database.transaction() as tx:
            old = (await tx.execute(select(CLINICAL).where(where))).mappings().first()
            known: dict[str, Any] = dict(old) if old else {"values": {}, "categories": {}, "version": 0}
            values, categories = {**known["values"], **values}, {**known["categories"], **categories}
            if (values, categories) == (known["values"], known["categories"]):
                return
            version = known["version"] + 1
            row = {"project": project.id, "patient": patient, "version": version}
            await tx.upsert(CLINICAL, {**row, "values": values, "categories": categories}, keys=("project", "patient"))
            fact = ClinicalRecorded(project=project_to_proto(project), patient=patient)
            fact.aggregate.id, fact.aggregate.version = patient, version
            fact.values.update(values)
            fact.categories.update(categories)
            await tx.announce(fact)


def kept_of(row: Any) -> Kept:
    """Row -> Kept."""
    return Kept(
        sop_uid=row.sop_uid,
        sop_class=row.sop_class,
        transfer_syntax=row.transfer_syntax,
        object=ObjectRef(**row.object),
        header=row.header,
        planes=planes_from_json(row.plane),
        candidates=row.candidates,
    )
