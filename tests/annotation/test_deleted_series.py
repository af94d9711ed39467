"""What you learn here: people's masks hold a series, proposals do not; what was deleted is forgotten and stays so."""

from __future__ import annotations

import dataclasses
import time

import pytest
from irp.common.v1.types_pb2 import Aggregate, ProjectRef
from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_annotation.adapters.db import METADATA, CatalogueRows
from irp_annotation.adapters.deleted_series import DeletedSeries
from irp_annotation.app.keep_proposal import KeepProposal, Proposal
from irp_annotation.domain.review import State
from irp_annotation.domain.segmentation import Segmentation
from irp_annotation.domain.series import ProjectRevision, Series
from irp_chassis.db import Database
from irp_chassis.departures import hold
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import ObjectRef, Uid
from irp_kernel.errors import NotYetKnown, SeriesHeld, SeriesUnknown
from sqlalchemy import MetaData

from .series import PROVENANCE, a_grid

UID = "1.2.3.4"
REF = ObjectRef(bucket="irp-ingest", key="demo/v1/x", sha256="a" * 64, size=1, media_type="application/x-nrrd")
PROJECT = ProjectRevision(id="demo", revision=1, configuration=REF)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def a_series(version: int) -> Series:
    return Series(
        project="demo", uid=Uid(UID), version=version, geometry=a_grid().geometry, volume=REF, header=REF,
        instances=REF, passport=b"",
    )  # fmt: skip


def a_segmentation(state: State, id: str = "one") -> Segmentation:
    return Segmentation(
        id=id, project="demo", series_uid=UID, version=0, revision=1, state=state, volume_version=1, mask=REF,
        structures=(), provenance=PROVENANCE,
    )  # fmt: skip


def deleted(version: int) -> SeriesDeleted:
    return SeriesDeleted(project=ProjectRef(id="demo"), aggregate=Aggregate(id=UID, version=version), series_uid=UID)


def a_proposal(version: int) -> Proposal:
    return Proposal(
        project=PROJECT, series_uid=UID, volume_version=version, volume_sha256="a" * 64, mask=REF, provenance=PROVENANCE
    )


async def test_what_people_made_refers_to_a_series_and_a_proposal_does_not(database: Database) -> None:
    catalogue, room = CatalogueRows(database), DeletedSeries(database)
    await catalogue.remember(a_series(1))
    await catalogue.add(a_segmentation(State.PROPOSED), PROJECT)
    assert await room.references("demo", [UID]) == []
    await catalogue.add(a_segmentation(State.DRAFT, "two"), PROJECT)
    (held,) = await room.references("demo", [UID, "1.9"])
    assert (held.kind, held.id, held.series_uid, held.state) == ("segmentation", "two", UID, "draft")
    assert await room.references("other", [UID]) == []


async def test_a_held_series_takes_no_mask_and_no_review(database: Database) -> None:
    catalogue = CatalogueRows(database)
    await catalogue.remember(a_series(1))
    proposed = await catalogue.add(a_segmentation(State.PROPOSED), PROJECT)
    async with database.transaction() as tx:
        await hold(tx, "demo", [UID], time.time() + 60)
    with pytest.raises(SeriesHeld):
        await catalogue.add(a_segmentation(State.DRAFT, "two"), PROJECT)
    with pytest.raises(SeriesHeld):
        await catalogue.move(proposed, State.SUBMITTED, PROJECT, actor="reader-1", at="now")
    assert await catalogue.add(a_segmentation(State.PROPOSED), PROJECT) == proposed  # it was there


async def test_a_deleted_series_is_forgotten_with_its_proposals_and_late_facts_do_not_revive_it(
    database: Database,
) -> None:
    catalogue, room = CatalogueRows(database), DeletedSeries(database)
    keep = KeepProposal(catalogue, InMemoryObjects(), lambda *_: pytest.fail("nothing is to be read"))
    await catalogue.remember(a_series(1))
    await catalogue.add(a_segmentation(State.PROPOSED), PROJECT)
    for _ in range(2):
        await room.forget(deleted(2))
    assert await catalogue.series("demo", UID) is None
    assert await catalogue.versions("demo", UID) == []
    await catalogue.remember(a_series(1))
    assert await catalogue.series("demo", UID) is None
    with pytest.raises(SeriesUnknown):  # whoever read the series before it was deleted
        await catalogue.add(a_segmentation(State.DRAFT, "late"), PROJECT)
    assert await keep(a_proposal(1)) is None
    with pytest.raises(NotYetKnown):
        await keep(a_proposal(3))
    await catalogue.remember(a_series(3))  # it was uploaded again
    await room.forget(deleted(2))
    assert await catalogue.series("demo", UID) is not None
    again = await catalogue.add(dataclasses.replace(a_segmentation(State.DRAFT, "again"), volume_version=3), PROJECT)
    assert again.version == 2  # numbers are not given twice
