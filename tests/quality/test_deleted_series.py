"""What you learn here: ratings hold a series, reports do not; what was deleted is forgotten and stays so."""

from __future__ import annotations

import time

import pytest
from irp.common.v1.types_pb2 import Aggregate, ObjectRef, ProjectRef
from irp.ingest.v1.events_pb2 import Series, SeriesDeleted, SeriesStored
from irp_chassis.db import Database
from irp_chassis.departures import hold
from irp_kernel import ObjectRef as Ref
from irp_kernel import Slug, Uid
from irp_kernel.errors import SeriesHeld, SeriesUnknown
from irp_quality.adapters.db import METADATA, AssessmentRows, RatingRows
from irp_quality.adapters.deleted_series import DeletedSeries
from irp_quality.domain.rating import Rating
from sqlalchemy import MetaData

DEMO, UID = Slug("demo"), Uid("1.2.3.4")
WIRE_REF = ObjectRef(bucket="irp-ingest", key="k", sha256="a" * 64, size=1, media_type="application/x-nrrd")
REF = Ref(bucket="irp-ingest", key="k", sha256="a" * 64, size=1, media_type="application/json")


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def stored(version: int) -> SeriesStored:
    series = Series(series_uid=UID, volume=WIRE_REF)
    return SeriesStored(project=ProjectRef(id=DEMO), aggregate=Aggregate(id=UID, version=version), series=series)


def deleted(version: int) -> SeriesDeleted:
    return SeriesDeleted(project=ProjectRef(id=DEMO), aggregate=Aggregate(id=UID, version=version), series_uid=UID)


async def rate(database: Database, stars: int) -> int:
    rating = Rating(rater="reader-1", stars=stars, form={}, at="2026", version=0)
    return await RatingRows(database).save(DEMO, UID, rating, revision=1, configuration=REF)


async def test_a_rating_refers_to_a_series_and_a_held_one_takes_none(database: Database) -> None:
    room = DeletedSeries(database)
    await AssessmentRows(database).expect(stored(1))
    assert await room.references(DEMO, [UID]) == []
    async with database.transaction() as tx:
        await hold(tx, DEMO, [UID], time.time() + 60)
    with pytest.raises(SeriesHeld):
        await rate(database, 4)
    async with database.transaction() as tx:
        await hold(tx, DEMO, [UID], 0)
    await rate(database, 4)
    (held,) = await room.references(DEMO, [UID])
    assert (held.kind, held.id) == ("rating", f"{UID}/reader-1")


async def test_a_deleted_series_is_forgotten_and_late_facts_do_not_revive_it(database: Database) -> None:
    rows, room = AssessmentRows(database), DeletedSeries(database)
    await rows.expect(stored(1))
    assert await rows.pending(DEMO, UID) is not None
    for _ in range(2):
        await room.forget(deleted(2))
    await rows.expect(stored(1))
    assert await rows.pending(DEMO, UID) is None
    with pytest.raises(SeriesUnknown):  # whoever read the report before it was deleted
        await rate(database, 4)
    await rows.expect(stored(3))
    await rate(database, 4)
    await room.forget(deleted(2))
    assert await rows.pending(DEMO, UID) is not None
