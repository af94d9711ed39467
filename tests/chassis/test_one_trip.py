"""What you learn here: a statement on SQLite costs one trip to the connection's thread, and means what it meant."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from irp_chassis.db import Database
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


@pytest.mark.parametrize("steps", range(12))
async def test_whoever_is_cancelled_anywhere_leaves_neither_rows_nor_locks(tmp_path: Path, steps: int) -> None:
    """Cancelled after so many turns of the loop: before, in, or after a transaction of two rows."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/cases.db", METADATA)
    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)

    async def write() -> None:
        async with database.transaction() as tx:
            await tx.execute(CASE.insert().values(name="a"))
            await tx.execute(CASE.insert().values(name="b"))

    writing = asyncio.create_task(write())
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    async with asyncio.timeout(5):
        async with database.transaction() as tx:
            await tx.execute(CASE.insert().values(name="c"))
        async with database.read() as connection:
            names = (await connection.execute(select(CASE.c.name).order_by(CASE.c.id))).scalars().all()
    assert names in (["c"], ["a", "b", "c"])
    await database.close()


@pytest.mark.parametrize("count", [1, 3])
async def test_rows_that_belong_to_nothing_else_are_written_in_one_trip_all_or_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/cases.db", METADATA)
    trips, whole = 0, Connection._execute

    async def counted(self: Connection, fn: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal trips
        trips += 1
        return await whole(self, fn, *args, **kwargs)

    async with database.engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    monkeypatch.setattr(Connection, "_execute", counted)
    await database.append(CASE, [{"name": f"a{number}"} for number in range(count)])
    assert trips == 1
    with pytest.raises(IntegrityError):
        await database.append(CASE, [{"name": "b"}, {"name": "a0"}])
    await asyncio.gather(*(database.append(CASE, [{"name": name}]) for name in "xyz"))
    async with database.read() as connection:
        names = (await connection.execute(select(CASE.c.name).order_by(CASE.c.name))).scalars().all()
    assert names == [*(f"a{number}" for number in range(count)), "x", "y", "z"]
    await database.close()
