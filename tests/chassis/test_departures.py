"""What you learn here: nothing comes between "nothing refers to it" and the deletion; what is gone stays gone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import pytest
from irp.common.v1 import operations_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.db import Database
from irp_chassis.departures import add_departures, hold, leave, require_there, still_comes
from irp_chassis.inbox import Inbox
from irp_chassis.operations import REFERENCES_TOLD, Operations, SeriesReference
from irp_chassis.tables import new_metadata
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel.errors import Aborted, InvalidArgument, PermissionDenied, SeriesHeld, SeriesUnknown
from sqlalchemy import Column, MetaData, String, Table, select

UID = "1.2.3"


@pytest.fixture
def metadata() -> MetaData:
    metadata = new_metadata()
    add_departures(metadata)
    Table("drawing", metadata, Column("id", String(64), primary_key=True))
    return metadata


async def draw(database: Database, id: str, begun: asyncio.Event | None = None, version: int = 1) -> None:
    """What a person makes of the series."""
    async with database.transaction() as tx:
        await require_there(tx, "demo", UID, version)
        await tx.execute(tx.table("drawing").insert().values(id=id))
        if begun:
            begun.set()
            await asyncio.sleep(0.2)


def room(database: Database) -> Operations:
    async def drawings(_project: str, uids: Sequence[str]) -> list[SeriesReference]:
        async with database.read() as connection:
            ids = await connection.scalars(select(database.metadata.tables["drawing"].c.id))
            return [SeriesReference(kind="segmentation", id=one, series_uid=uids[0]) for one in ids]

    act_as(Caller(subject="owner-1", project="demo", roles=frozenset({"owner"})))
    return Operations(Inbox(database), database, InMemoryObjects(), [], [drawings])


async def references(database: Database, hold_s: float = 0, **more: Any) -> pb.ReferencesResponse:
    request = pb.ReferencesRequest(**{"project": "demo", "series_uids": [UID], "hold_s": hold_s} | more)
    return await room(database).References(request, None)


async def test_what_was_being_drawn_is_seen_and_what_begins_later_is_refused(either_database: Database) -> None:
    begun = asyncio.Event()
    drawing = asyncio.create_task(draw(either_database, "first", begun))
    await begun.wait()
    answer = await references(either_database, 60)
    await drawing
    assert [one.id for one in answer.references] == ["first"]
    await draw(either_database, "second")  # something refers to it: it stays, and nobody is held up


async def test_a_held_series_takes_nothing_until_the_hold_ends(either_database: Database) -> None:
    assert (await references(either_database, 60)).count == 0
    with pytest.raises(SeriesHeld):
        await draw(either_database, "refused")
    async with either_database.transaction() as tx:
        await hold(tx, "demo", [UID], time.time() - 1)
    await draw(either_database, "taken")


async def test_only_asking_holds_nothing(either_database: Database) -> None:
    assert (await references(either_database, 0)).count == 0
    await draw(either_database, "taken")


async def test_of_drawing_and_holding_at_once_one_wins(either_database: Database) -> None:
    async def try_to_draw(id: str) -> bool:
        try:
            await draw(either_database, id)
        except (SeriesHeld, Aborted):  # PostgreSQL aborts one of two that write the same row
            return False
        return True

    *drawn, answer = await asyncio.gather(*(try_to_draw(f"d{n}") for n in range(8)), references(either_database, 60))
    assert answer.count == 0 or any(drawn)
    after = await try_to_draw("late")
    assert after is (answer.count > 0)


async def test_what_is_said_of_a_deleted_volume_comes_too_late_and_of_a_newer_one_does_not(
    either_database: Database,
) -> None:
    async with either_database.transaction() as tx:
        assert await still_comes(tx, "demo", UID, 1)
        await hold(tx, "demo", [UID], time.time() + 60)
        await leave(tx, "demo", UID, 2)
        await leave(tx, "demo", UID, 1)  # told again, or late
        assert [await still_comes(tx, "demo", UID, version) for version in (1, 2, 3)] == [False, False, True]
        assert await still_comes(tx, "other", UID, 1)
    with pytest.raises(SeriesUnknown):
        await draw(either_database, "looked at before it was deleted", version=2)
    await draw(either_database, "on the series that came again", version=3)


async def test_the_answer_is_bounded_and_says_how_many_there_are(database: Database) -> None:
    for number in range(REFERENCES_TOLD + 5):
        await draw(database, f"d{number}")
    answer = await references(database, 0)
    assert (len(answer.references), answer.count) == (REFERENCES_TOLD, REFERENCES_TOLD + 5)


async def test_questions_of_other_projects_and_beyond_the_bounds_are_refused(database: Database) -> None:
    with pytest.raises(PermissionDenied):
        await references(database, 0, project="other")
    for wrong in ({"series_uids": []}, {"hold_s": 1e9}, {"series_uids": ["1"] * 6000}):
        with pytest.raises(InvalidArgument):
            await references(database, **wrong)
