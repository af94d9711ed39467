"""What training keeps of series: what stands against deleting them, and what goes with them."""

from __future__ import annotations

from collections.abc import Sequence

from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_chassis.db import Database
from irp_chassis.departures import leave
from irp_chassis.objects import Objects
from irp_chassis.operations import SeriesReference
from sqlalchemy import select

from irp_training.adapters import db
from irp_training.adapters.change import SqlChange
from irp_training.adapters.container_rows import ContainerRows
from irp_training.adapters.documents import (
    correction_from_document,
    dataset_from_document,
    model_from_document,
    run_from_document,
)
from irp_training.app.notice_correction import look_anew
from irp_training.app.ports import Clock
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import Run


class DeletedSeries:
    """Frozen datasets hold their series, and so do the runs and models that came of them."""

    def __init__(self, database: Database, objects: Objects, now: Clock) -> None:
        self._database, self._objects, self._now = database, objects, now

    async def references(self, project: str, series_uids: Sequence[str]) -> list[SeriesReference]:
        """Datasets with one of the series, then their runs, then the models of these."""
        async with self._database.read(at_once=True) as connection:
            datasets = await connection.scalars(select(db.DATASET.c.document).where(db.DATASET.c.project == project))
            manifests = {row.digest: row.manifest for row in map(dataset_from_document, datasets)}
            runs = await connection.scalars(select(db.RUN.c.document).where(db.RUN.c.project == project))
            found_runs = [run_from_document(row) for row in runs]
            models = [model_from_document(row) for row in await connection.scalars(select(db.MODEL.c.document))]
        found: list[SeriesReference] = []
        wanted = set(series_uids)
        for digest, manifest in manifests.items():
            snapshot = await read_snapshot(self._objects, manifest)
            for uid in sorted({entry.case.series for entry in snapshot.entries} & wanted):
                found.append(SeriesReference(kind="dataset", id=digest, series_uid=uid, state="frozen"))
                found += _made_of(digest, uid, found_runs, models)
        return found

    async def forget(self, fact: SeriesDeleted) -> None:
        """Verdict, proposals and corrections up to this version, which then count in no mean.

        An accepted mask would have held the series.
        """
        table = db.VERDICT
        here = (table.c.project == fact.project.id) & (table.c.series == fact.series_uid)
        async with self._database.transaction() as tx:
            await leave(tx, fact.project.id, fact.series_uid, fact.aggregate.version)
            await tx.execute(table.delete().where(here, table.c.version <= fact.aggregate.version))
            proposed, corrected = db.PROPOSAL.c, db.CORRECTION.c
            mine = (proposed.project == fact.project.id) & (proposed.series == fact.series_uid)
            await tx.execute(db.PROPOSAL.delete().where(mine, proposed.version <= fact.aggregate.version))
            theirs = (corrected.project == fact.project.id) & (corrected.series == fact.series_uid)
            rows = await tx.execute(select(corrected.document).where(theirs).with_for_update())
            corrections = [correction_from_document(row) for row in rows.scalars()]
            await tx.execute(db.CORRECTION.delete().where(theirs))
            for model in sorted({one.model for one in corrections}, key=str):
                await look_anew(SqlChange(tx), model, self._now())
            runs = ContainerRows(self._database)
            await runs.forget(tx, fact.project.id, fact.series_uid, fact.aggregate.version)


def _made_of(digest: str, uid: str, runs: Sequence[Run], models: Sequence[Model]) -> list[SeriesReference]:
    """The dataset's runs, then the models of these."""
    of_dataset = [run for run in runs if run.dataset.digest == digest]
    origins = {(run.project, run.id) for run in of_dataset}
    found = [SeriesReference(kind="run", id=run.id, series_uid=uid, state=str(run.state)) for run in of_dataset]
    return found + [
        SeriesReference(kind="model", id=f"{m.ref.name}@{m.ref.version}", series_uid=uid, state="registered")
        for m in models
        if m.run in origins
    ]
