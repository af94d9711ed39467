"""Facts that inference hears, and the one it tells."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from datetime import UTC, datetime
from typing import Any

from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import SeriesStored
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp.training.v1.events_pb2 import ModelPromoted, ModelRegistered
from irp_chassis.db import Database
from irp_chassis.departures import still_comes
from irp_chassis.jobs import Job
from irp_chassis.wire import object_ref_from_proto, object_ref_to_proto
from irp_kernel import ObjectRef
from irp_kernel.errors import ModelUnknown, NotYetKnown, SeriesUnknown
from sqlalchemy import select

from irp_inference.adapters.db import CHAMPION, DEPARTURE, MODEL, SERIES
from irp_inference.adapters.proposals import PROPOSAL, Noting
from irp_inference.adapters.readmodels import CachedConfigurations
from irp_inference.adapters.serving_rows import end_trials
from irp_inference.adapters.shelf import Shelf
from irp_inference.app.propose_series import ProposeSeries
from irp_inference.app.segment_series import Answer
from irp_inference.domain.automation import proposing_model

SOFTWARE = "inference/0.1.0"


class Facts:
    """Handlers, one per kind of fact."""

    def __init__(self, database: Database, configurations: CachedConfigurations, shelf: Shelf) -> None:
        self._database, self._configurations, self._shelf = database, configurations, shelf

    async def on_project_configured(self, fact: ProjectConfigured) -> None:
        """Fetch the configuration before it is needed."""
        await self._configurations.read(object_ref_from_proto(fact.project.configuration))

    async def on_series_stored(self, fact: SeriesStored) -> None:
        """Remember where the volume lies; older versions are dropped."""
        series = fact.series
        row = {
            "project": fact.project.id,
            "uid": series.series_uid,
            "version": fact.aggregate.version,
            "volume": dataclasses.asdict(object_ref_from_proto(series.volume)),
            "sequence_class": series.sequence_class,
            "frames": series.shape[0],
        }
        here = (SERIES.c.project == row["project"]) & (SERIES.c.uid == row["uid"])
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(SERIES.c.version).where(here))).scalar() or 0
            version = fact.aggregate.version
            if known < version and await still_comes(tx, fact.project.id, series.series_uid, version):
                await tx.upsert(SERIES, row, keys=("project", "uid"))

    async def on_series_assessed(self, fact: SeriesAssessed) -> None:
        """Queue a proposal where the project's automation says so."""
        configuration = await self._configurations.read(object_ref_from_proto(fact.project.configuration))
        model = proposing_model(configuration, fact.series.sequence_class)
        if model is None:
            return
        uid, version, by = fact.series.series_uid, fact.aggregate.version, model
        with contextlib.suppress(ModelUnknown):  # the job waits for it
            by = await self._shelf.meant(model, uid)
        async with self._database.transaction() as tx:
            if await still_comes(tx, fact.project.id, uid, version):
                await enqueue_proposal(tx, fact.project, uid, version, model, by=by)

    async def on_model_registered(self, fact: ModelRegistered) -> None:
        """Remember where the bundle lies."""
        async with self._database.transaction() as tx:
            await tx.upsert(MODEL, _model_row(fact), keys=("name", "version"))

    async def on_model_promoted(self, fact: ModelPromoted) -> None:
        """Remember the champion and end the trials that it decides; older promotions are dropped."""
        row = {
            "name": fact.name,
            "version": fact.model.version,
            "aggregate_version": fact.aggregate.version,
            "previous": fact.previous,
        }
        async with self._database.transaction() as tx:
            await tx.upsert(MODEL, _model_row(fact), keys=("name", "version"))
            query = select(CHAMPION.c.aggregate_version).where(CHAMPION.c.name == fact.name)
            known = (await tx.execute(query)).scalar()
            if known is None or known < fact.aggregate.version:
                await tx.upsert(CHAMPION, row, keys=("name",))
                await end_trials(tx, fact.name, fact.model.version)

    async def hear_model_promoted(self, fact: ModelPromoted) -> None:
        """Every process loads the champion and swaps to it; the rows may not know it yet."""
        await self.on_model_promoted(fact)
        await self._shelf.crown(fact.name, fact.model.version)


async def enqueue_proposal(
    tx: Any, project: types_pb2.ProjectRef, uid: str, version: int, model: str, *, by: str, again: bool = False
) -> str:
    """Queue a proposal for a version of a series; its key.

    Args:
        tx: the transaction.
        project: whose series it is.
        uid: of the series.
        version: of the series.
        model: as it was asked for.
        by: name@number of the version that would answer now: another one makes another proposal.
        again: one that has failed is queued anew.
    """
    key = f"{project.id}/{uid}/{version}/{by}"
    payload = {
        "project": {
            "id": project.id,
            "revision": project.revision,
            "configuration": dataclasses.asdict(object_ref_from_proto(project.configuration)),
        },
        "series_uid": uid,
        "version": version,
        "model": model,
    }
    await tx.enqueue(PROPOSAL, key=key, payload=payload, again=again)
    return key


class ProposalJob:
    """Works on queued proposals."""

    def __init__(self, database: Database, propose: ProposeSeries) -> None:
        self._database, self._propose = database, propose

    async def __call__(self, job: Job) -> None:
        """Facts of different streams are not ordered: what is not known yet is tried again."""
        payload, project = job.payload, job.payload["project"]["id"]
        query = select(SERIES.c.frames).where(SERIES.c.project == project, SERIES.c.uid == payload["series_uid"])
        gone = (DEPARTURE.c.project == project) & (DEPARTURE.c.series_uid == payload["series_uid"])
        async with self._database.read(at_once=True) as connection:
            frames = (await connection.execute(query)).scalar()
            deleted = (await connection.execute(select(DEPARTURE.c.version).where(gone))).scalar() or 0
        if frames is None and payload.get("version", deleted + 1) <= deleted:
            return
        if frames is None:
            raise NotYetKnown
        try:
            tell = Noting(self._database, job, time.time())
            await self._propose(payload["project"], payload["series_uid"], payload["model"], frames, tell)
        except (ModelUnknown, SeriesUnknown):
            raise NotYetKnown from None


class Announcer:
    """See app.propose_series.Announce."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def proposed(self, answer: Answer, mask: ObjectRef, revision: dict[str, Any]) -> None:
        """Put MaskProposed into the outbox."""
        fact = MaskProposed(
            series_uid=answer.series.uid,
            mask=object_ref_to_proto(mask),
            volume_sha256=answer.series.volume.sha256,
            provenance=provenance(answer, actor="automation"),
        )
        fact.project.id, fact.project.revision = revision["id"], revision["revision"]
        fact.project.configuration.CopyFrom(object_ref_to_proto(ObjectRef(**revision["configuration"])))
        fact.aggregate.id = f"{answer.series.uid}/{answer.model.name}"
        fact.aggregate.version = answer.series.version
        async with self._database.transaction() as tx:
            await tx.announce(fact)


def provenance(answer: Answer, actor: str) -> types_pb2.Provenance:
    """Who, when, with what, from what."""
    return types_pb2.Provenance(
        actor=actor,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        software=SOFTWARE,
        model=types_pb2.ModelRef(name=answer.model.name, version=answer.model.version, digest=answer.model.digest),
        inputs={"volume": answer.series.volume.sha256},
        parameters=answer.parameters,
    )


def _model_row(fact: ModelRegistered | ModelPromoted) -> dict[str, Any]:
    row = {
        "name": fact.name,
        "version": fact.model.version,
        "digest": fact.model.digest,
        "bundle": dataclasses.asdict(object_ref_from_proto(fact.bundle)),
    }
    # A promotion from before the registry had a key is heard again at each start: it takes no signature away.
    return row | ({"signature": fact.signature} if fact.signature else {})
