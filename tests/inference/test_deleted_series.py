"""What you learn here: of a deleted series inference forgets where the volume lies, and proposes nothing any more."""

from __future__ import annotations

import pytest
from irp.common.v1.types_pb2 import Aggregate, ObjectRef, ProjectRef
from irp.ingest.v1.events_pb2 import Series, SeriesDeleted, SeriesStored
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp_chassis.db import Database
from irp_chassis.jobs import Job
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.deleted_series import DeletedSeries
from irp_inference.adapters.events import Facts, ProposalJob
from irp_inference.adapters.readmodels import SqlSeries
from irp_kernel.errors import NotYetKnown
from sqlalchemy import MetaData, select

UID = "1.2.3.4"
REF = ObjectRef(bucket="irp-ingest", key="k", sha256="a" * 64, size=1, media_type="application/x-nrrd")
PROJECT = ProjectRef(id="demo", revision=1, configuration=REF)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Proposing:
    """A project whose automation proposes."""

    async def read(self, _ref: object) -> dict[str, object]:
        return {"automation": {"segment": {"cine-sax": "cine"}}}


def stored(version: int) -> SeriesStored:
    series = Series(series_uid=UID, volume=REF, sequence_class="cine-sax", shape=(2, 3, 4, 4))
    return SeriesStored(project=PROJECT, aggregate=Aggregate(id=UID, version=version), series=series)


def deleted(version: int) -> SeriesDeleted:
    return SeriesDeleted(project=PROJECT, aggregate=Aggregate(id=UID, version=version), series_uid=UID)


def a_job(version: int) -> Job:
    project = {"id": "demo", "revision": 1}
    payload = {"project": project, "series_uid": UID, "version": version, "model": "m"}
    return Job(kind="proposal", key="k", payload=payload, attempt=1)


class Named:
    """A shelf that knows which version is meant."""

    async def meant(self, model: str, series_uid: str) -> str:
        return f"{model}@1"


async def test_a_deleted_series_is_forgotten_and_late_facts_do_not_revive_it(database: Database) -> None:
    facts, room, series = Facts(database, None, None), DeletedSeries(database), SqlSeries(database)  # type: ignore[arg-type]
    await facts.on_series_stored(stored(1))
    assert await series.get("demo", UID) is not None
    for _ in range(2):
        await room.forget(deleted(2))
    await facts.on_series_stored(stored(1))
    assert await series.get("demo", UID) is None
    await facts.on_series_stored(stored(3))
    await room.forget(deleted(2))
    assert await series.get("demo", UID) is not None


async def test_a_proposal_for_a_deleted_series_is_given_up_and_for_one_to_come_it_waits(database: Database) -> None:
    await DeletedSeries(database).forget(deleted(2))
    work = ProposalJob(database, None)  # type: ignore[arg-type]
    await work(a_job(1))
    with pytest.raises(NotYetKnown):
        await work(a_job(3))


async def test_a_verdict_on_a_deleted_volume_queues_nothing(database: Database) -> None:
    facts = Facts(database, Proposing(), Named())  # type: ignore[arg-type]
    await DeletedSeries(database).forget(deleted(2))
    for version, jobs in ((1, 0), (3, 1)):
        told = stored(version)
        await facts.on_series_assessed(
            SeriesAssessed(project=PROJECT, aggregate=told.aggregate, series=told.series, verdict="good")
        )
        async with database.read() as connection:
            assert len((await connection.execute(select(METADATA.tables["job"]))).all()) == jobs
