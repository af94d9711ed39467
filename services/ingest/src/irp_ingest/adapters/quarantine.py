"""The quarantine in SQL."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import datetime
from typing import Any

from irp_chassis.again import again_if_aborted
from irp_chassis.db import Database
from irp_chassis.paging import read_page
from irp_kernel import ObjectRef
from sqlalchemy import func, select
from sqlalchemy.sql import ColumnElement

from irp_ingest.adapters.db import INSTANCE, QUARANTINE
from irp_ingest.app.keep_apart import Apart, Standing
from irp_ingest.app.ports import ProjectAt
from irp_ingest.domain.decision import DONE, Decision, State
from irp_ingest.domain.errors import ContentDiffers, QuarantineDecided, QuarantineUnknown
from irp_ingest.domain.intake import Intake

KIND = "quarantine"  # of the job that carries a decision out
GONE = (State.RELEASED, State.MASKED)  # into the index; if it is not there, it was deleted


class SqlQuarantine:
    """See app.keep_apart.Quarantine."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database, self._now = database, now

    async def standing(self, project: str, intake: Intake) -> Standing:
        """See Quarantine.standing."""
        stored = select(INSTANCE.c.fingerprint, INSTANCE.c.object)
        stored = stored.where(INSTANCE.c.project == project, INSTANCE.c.sop_uid == intake.sop_uid)
        waits = select(QUARANTINE.c.fingerprint, QUARANTINE.c.state).where(_here(project, intake.sop_uid))
        async with self._database.read(at_once=True) as connection:
            instance = (await connection.execute(stored)).first()
            row = (await connection.execute(waits)).first()
        if instance is None:
            return Standing(state=_still(row, intake.fingerprint))
        if instance.fingerprint != intake.fingerprint and instance.object["sha256"] != intake.sha256:
            raise ContentDiffers
        return Standing(stored_sha256=instance.object["sha256"])

    async def waiting(self, project: str) -> int:
        """See Quarantine.waiting."""
        query = select(func.count()).where(QUARANTINE.c.project == project, QUARANTINE.c.state == State.WAITING)
        async with self._database.read() as connection:
            return int((await connection.execute(query)).scalar_one())

    @again_if_aborted
    async def enter(self, project: str, intake: Intake, object: ObjectRef) -> None:
        """See Quarantine.enter."""
        row = self._new(project, intake, object)
        ended = QUARANTINE.c.state.in_([State.DISCARDED, *GONE])
        async with self._database.transaction() as tx:
            if not await tx.insert_once(QUARANTINE, row, keys=("project", "id")):
                row["times"] = QUARANTINE.c.times + 1
                await tx.execute(QUARANTINE.update().where(_here(project, intake.sop_uid), ended).values(**row))

    def _new(self, project: str, intake: Intake, object: ObjectRef) -> dict[str, Any]:
        if intake.doubt is None:
            raise ValueError("an instance without a doubt does not wait")
        return dataclasses.asdict(intake.doubt) | {
            "project": project,
            "id": intake.sop_uid,
            "study_uid": intake.study_uid,
            "series_uid": intake.series_uid,
            "sop_class": intake.sop_class,
            "patient": intake.patient,
            "site": intake.site,
            "fingerprint": intake.fingerprint,
            "candidates": intake.candidates,
            "arrived_at": self._time(),
            "state": State.WAITING,
            "decided_by": "",
            "decided_at": "",
            "regions": [],
            "times": 1,
            "object": dataclasses.asdict(object),
        }

    async def find(self, project: str, id: str) -> Apart:
        """See Quarantine.find."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(QUARANTINE).where(_here(project, id)))).first()
        if row is None:
            raise QuarantineUnknown
        return _apart(row)

    async def page(self, project: str, state: str, after: str, limit: int) -> tuple[list[Apart], str]:
        """By arrival, of one state or ("") all; and where the next page begins, empty = this was the last one."""
        query = select(QUARANTINE).where(QUARANTINE.c.project == project)
        query = query.where(QUARANTINE.c.state == state) if state else query
        place = (QUARANTINE.c.arrived_at, QUARANTINE.c.id)
        rows, following = await read_page(self._database, query, place, after, limit)
        return [_apart(row) for row in rows], following

    @again_if_aborted
    async def decide(self, project: ProjectAt, apart: Apart, decision: Decision, by: str) -> Apart:
        """See Quarantine.decide."""
        values = {"state": decision.follows, "regions": decision.regions, "decided_by": by, "decided_at": self._time()}
        waits = (QUARANTINE.c.state == State.WAITING) & (QUARANTINE.c.times == apart.times)
        async with self._database.transaction() as tx:
            here = _here(project.id, apart.id)
            done = await tx.execute(QUARANTINE.update().where(here, waits).values(**values))
            row = _apart((await tx.execute(select(QUARANTINE).where(here))).one())
            if done.rowcount:
                payload = {"project": dataclasses.asdict(project), "id": apart.id}
                await tx.enqueue(KIND, key=f"{project.id}/{apart.id}/{apart.times}", payload=payload)
        if not decision.stands_as(row.state, row.regions):
            raise QuarantineDecided
        return row

    async def is_stored(self, apart: Apart) -> bool:
        """See Quarantine.is_stored."""
        same = (INSTANCE.c.sop_uid == apart.id) & (INSTANCE.c.fingerprint == apart.fingerprint)
        query = select(INSTANCE.c.sop_uid).where(INSTANCE.c.project == apart.project, same)
        async with self._database.read() as connection:
            return (await connection.execute(query)).first() is not None

    @again_if_aborted
    async def settle(self, apart: Apart) -> None:
        """See Quarantine.settle."""
        await self._end(apart, state=DONE[apart.state], object=None)

    @again_if_aborted
    async def reopen(self, apart: Apart) -> None:
        """See Quarantine.reopen."""
        again = {"regions": [], "decided_by": "", "decided_at": "", "times": apart.times + 1}
        await self._end(apart, state=State.WAITING, **again)

    async def _end(self, apart: Apart, **values: Any) -> None:
        same = (QUARANTINE.c.state == apart.state) & (QUARANTINE.c.times == apart.times)
        async with self._database.transaction() as tx:
            await tx.execute(QUARANTINE.update().where(_here(apart.project, apart.id), same).values(**values))

    async def references(self) -> list[ObjectRef]:
        """Every object that a row refers to; one that is being discarded may be gone already."""
        held = QUARANTINE.c.state.in_([State.WAITING, State.RELEASING, State.MASKING])
        async with self._database.read() as connection:
            rows = await connection.execute(select(QUARANTINE.c.object).where(held))
            return [ObjectRef(**row.object) for row in rows if row.object]

    def _time(self) -> str:
        return self._now().isoformat(timespec="microseconds")


def _here(project: str, id: str) -> ColumnElement[bool]:
    return (QUARANTINE.c.project == project) & (QUARANTINE.c.id == id)


def _still(row: Any, fingerprint: str) -> State | None:
    """Where it stands; None if it may enter: also after it was deleted, or another file under its UID discarded."""
    if row is None or row.state in GONE:
        return None
    if row.fingerprint == fingerprint:
        return State(row.state)
    if row.state == State.DISCARDED:
        return None
    raise ContentDiffers


def _apart(row: Any) -> Apart:
    found = dict(row._mapping)
    held = ObjectRef(**found["object"]) if found["object"] else None
    regions = [tuple(region) for region in found["regions"]]
    return Apart(**found | {"object": held, "state": State(found["state"]), "regions": regions})
