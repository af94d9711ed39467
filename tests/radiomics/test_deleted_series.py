"""What you learn here: a case of the feature table holds its series; what was deleted is forgotten and stays so."""

from __future__ import annotations

import pytest
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.common.v1.types_pb2 import Aggregate, ProjectRef
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import Series, SeriesDeleted, SeriesStored
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_chassis.wire import object_ref_to_proto
from irp_radiomics.adapters.db import METADATA, PROPOSAL, SERIES
from irp_radiomics.adapters.deleted_series import DeletedSeries
from irp_radiomics.adapters.events import Facts
from sqlalchemy import MetaData, Table, select

UID = "1.2.3.4"


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Told:
    """The room's handlers, and facts to tell them."""

    def __init__(self, database: Database, project: ProjectRef) -> None:
        self.database, self.project = database, project
        self.facts = Facts(database, OBJECTS)

    async def stored(self, version: int) -> None:
        series = Series(series_uid=UID, volume=self.project.configuration)
        at = Aggregate(id=UID, version=version)
        await self.facts.on_series_stored(SeriesStored(project=self.project, aggregate=at, series=series))

    async def proposed(self, version: int, at: str) -> None:
        fact = MaskProposed(project=self.project, series_uid=UID, mask=self.project.configuration)
        fact.aggregate.version, fact.provenance.at = version, at
        await self.facts.on_mask_proposed(fact)

    async def accepted(self) -> None:
        series = Series(series_uid=UID, patient="P-1", volume=self.project.configuration)
        mask = self.project.configuration
        at = Aggregate(id=UID, version=1)
        await self.facts.on_mask_accepted(MaskAccepted(project=self.project, aggregate=at, series=series, mask=mask))

    async def count(self, table: Table) -> int:
        async with self.database.read() as connection:
            return len((await connection.execute(select(table))).all())


OBJECTS = InMemoryObjects()


@pytest.fixture
async def told(database: Database) -> Told:
    ref = await OBJECTS.put(
        b"{}", project="demo", entity="project", id="demo", kind="c", media_type="application/json", extension="json"
    )
    return Told(database, ProjectRef(id="demo", revision=1, configuration=object_ref_to_proto(ref)))


def deleted(version: int) -> SeriesDeleted:
    return SeriesDeleted(project=ProjectRef(id="demo"), aggregate=Aggregate(id=UID, version=version), series_uid=UID)


async def test_a_case_refers_to_its_series_and_a_proposal_does_not(told: Told) -> None:
    room = DeletedSeries(told.database)
    await told.stored(1)
    await told.proposed(1, "2026-01-01")
    assert await room.references("demo", [UID]) == []
    await told.accepted()
    (held,) = await room.references("demo", [UID])
    assert (held.kind, held.id, held.state) == ("features", UID, "waiting")


async def test_a_deleted_series_is_forgotten_and_late_facts_do_not_revive_it(told: Told) -> None:
    room = DeletedSeries(told.database)
    await told.stored(1)
    await told.proposed(1, "2026-01-01")
    for _ in range(2):
        await room.forget(deleted(2))
    await told.stored(1)
    await told.proposed(1, "2026-01-02")
    assert [await told.count(table) for table in (SERIES, PROPOSAL)] == [0, 0]
    await told.stored(3)
    await told.proposed(3, "2026-01-03")
    await room.forget(deleted(2))
    assert [await told.count(table) for table in (SERIES, PROPOSAL)] == [1, 1]
