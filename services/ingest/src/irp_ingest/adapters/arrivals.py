"""Instances arrive: their rows, and the rows of their series and studies, as many as wait in one transaction."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from irp_chassis.again import again_if_aborted
from irp_chassis.db import Database, Transaction
from irp_kernel import ObjectRef
from irp_kernel.errors import IrpError
from sqlalchemy import select

from irp_ingest.adapters.criteria import DESCRIPTION, MODALITY, first_text, study_columns
from irp_ingest.adapters.db import INSTANCE, SERIES, STUDY
from irp_ingest.adapters.deletion import deletion_of, require_put_since
from irp_ingest.app.ports import ProjectAt
from irp_ingest.domain.errors import ContentDiffers
from irp_ingest.domain.intake import Intake
from irp_ingest.domain.plane import planes_to_json


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """See the arguments of app.ports.Index.add."""

    project: ProjectAt
    intake: Intake
    object: ObjectRef
    open_s: float
    removals: int

    @property
    def series(self) -> tuple[str, str]:
        """Project and SeriesInstanceUID."""
        return self.project.id, self.intake.series_uid


class SqlArrivals:
    """Adds instances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @again_if_aborted
    async def __call__(self, arrivals: Sequence[Arrival]) -> Sequence[bool | Exception]:
        """One transaction; for each whether it is new, or why it is refused, in their order."""
        answers: dict[int, bool | Exception] = {}
        # series in one order everywhere: two replicas that add to the same ones do not wait for each other
        order = sorted(range(len(arrivals)), key=lambda at: arrivals[at].series)
        async with self._database.transaction() as tx:
            for _, numbers in groupby(order, key=lambda at: arrivals[at].series):
                await self._add_to_series(tx, {at: arrivals[at] for at in numbers}, answers)
        return [answers[at] for at in range(len(arrivals))]

    async def _add_to_series(
        self, tx: Transaction, arrivals: dict[int, Arrival], answers: dict[int, bool | Exception]
    ) -> None:
        some = next(iter(arrivals.values()))
        deleted = await deletion_of(tx, *some.series)
        for at, arrival in arrivals.items():
            try:
                require_put_since(deleted, arrival.removals)
                answers[at] = await self._add(tx, arrival)
            except IrpError as refused:
                answers[at] = refused
        new = [arrival for at, arrival in arrivals.items() if answers[at] is True]
        if new:
            await self._touch_series(tx, new, deleted)

    async def _add(self, tx: Transaction, arrival: Arrival) -> bool:
        intake = arrival.intake
        row = {
            "project": arrival.project.id,
            "sop_uid": intake.sop_uid,
            "study_uid": intake.study_uid,
            "series_uid": intake.series_uid,
            "sop_class": intake.sop_class,
            "transfer_syntax": intake.transfer_syntax,
            "fingerprint": intake.fingerprint,
            "object": dataclasses.asdict(arrival.object),
            "header": intake.header,
            "plane": planes_to_json(intake.planes),
            "candidates": intake.candidates,
        }
        if await tx.insert_once(INSTANCE, row, keys=("project", "sop_uid")):
            return True
        await self._require_same(tx, arrival)
        return False

    async def _require_same(self, tx: Transaction, arrival: Arrival) -> None:
        """The same original, or one that differs in its encoding only: its de-identified bytes are the same."""
        query = select(INSTANCE.c.fingerprint, INSTANCE.c.object)
        query = query.where(INSTANCE.c.project == arrival.project.id, INSTANCE.c.sop_uid == arrival.intake.sop_uid)
        row = (await tx.execute(query)).one()
        if row.fingerprint != arrival.intake.fingerprint and row.object["sha256"] != arrival.object.sha256:
            raise ContentDiffers

    async def _touch_series(self, tx: Transaction, new: Sequence[Arrival], deleted: Any) -> None:
        last, now = new[-1], time.time()
        row = _series_row(new[0], now, deleted)
        if await tx.insert_once(SERIES, row, keys=("project", "uid")):
            study = {"project": row["project"], "uid": row["study_uid"], "header": row["header"]}
            await tx.insert_once(STUDY, study | study_columns(row["header"]), keys=("project", "uid"))
            same = (STUDY.c.project == row["project"]) & (STUDY.c.uid == row["study_uid"])
            await tx.execute(select(STUDY.c.uid).where(same).with_for_update())  # whoever deletes it meets us here
        await tx.execute(
            SERIES.update()
            .where(SERIES.c.project == row["project"], SERIES.c.uid == row["uid"])
            .values(
                count=SERIES.c.count + len(new),
                changes=SERIES.c.changes + len(new),
                quiet_until=now + max(one.open_s for one in new),
                queued=False,
                state="receiving",
                project_ref=dataclasses.asdict(last.project),
            )
        )


def _series_row(first: Arrival, now: float, deleted: Any) -> dict[str, Any]:
    intake = first.intake
    return {
        "project": first.project.id,
        "uid": intake.series_uid,
        "study_uid": intake.study_uid,
        "patient": intake.patient,
        "site": intake.site,
        "project_ref": dataclasses.asdict(first.project),
        "state": "receiving",
        "reason": "",
        "message": "",
        "count": 0,
        "quiet_until": now + first.open_s,
        "queued": False,
        # a series that comes again goes on where it ended: facts about the older one stay the older ones
        "version": deleted.version if deleted else 0,
        "changes": deleted.changes if deleted else 0,
        "result": None,
        "arrived_at": now,
        "modality": first_text(intake.header, MODALITY),
        "description": first_text(intake.header, DESCRIPTION),
        "header": intake.header,
    }
