"""What you learn here: a statement on SQLite costs one trip to the connection's thread, and means what it meant."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from irp_chassis.one_trip import Connection
from sqlalchemy import Column, Integer, MetaData, String, Table, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

METADATA = MetaData()
CASE = Table("case", METADATA, Column("id", Integer, primary_key=True), Column("name", String, unique=True))
TWO: list[dict[str, Any]] = [{"name": "b"}, {"name": "c"}]


class Counted(Connection):
    """Counts its trips."""

    trips = 0

    async def _execute(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        Counted.trips += 1
        return await super()._execute(fn, *args, **kwargs)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async def opened() -> Connection:
        return await Counted(partial(sqlite3.connect, tmp_path / "cases.db"), 1)

    engine = create_async_engine("sqlite+aiosqlite:///cases.db", async_creator=opened)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield engine
    await engine.dispose()


async def test_a_statement_makes_one_trip_however_many_rows_it_gives(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(CASE.insert(), [{"name": str(n)} for n in range(500)])
        before = Counted.trips
        assert len((await connection.execute(select(CASE))).all()) == 500
        assert Counted.trips - before == 1


async def test_rows_counts_and_keys_are_those_of_sqlite(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        made = await connection.execute(CASE.insert().values(name="a"))
        assert made.inserted_primary_key == (1,)
        assert (await connection.execute(CASE.insert(), TWO)).rowcount == 2
        moved = await connection.execute(CASE.update().where(CASE.c.id > 1).values(name=CASE.c.name + "x"))
        assert moved.rowcount == 2
        gone = await connection.execute(CASE.delete().where(CASE.c.name == "bx").returning(CASE.c.id))
        assert gone.scalars().all() == [2]
        assert (await connection.execute(select(CASE.c.name).order_by(CASE.c.id))).scalars().all() == ["a", "cx"]


async def test_what_fails_fails_as_before_and_harms_nothing_later(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.execute(CASE.insert().values(name="a"))
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(CASE.insert(), TWO)
            await connection.execute(CASE.insert().values(name="a"))
    async with engine.connect() as connection:
        assert (await connection.execute(select(CASE.c.name))).scalars().all() == ["a"]
