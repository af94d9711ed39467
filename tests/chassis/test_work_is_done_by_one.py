"""What you learn here: work whose lease another has taken ends; a database that is away for a moment ends nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from irp_chassis import jobs
from irp_chassis.db import Database
from irp_chassis.jobs import Job, JobRunner


class World:
    """A runner whose work goes on until it is told to end, and what became of it."""

    def __init__(self, database: Database) -> None:
        self.database, self.stopping = database, asyncio.Event()
        self.begun, self.end = asyncio.Event(), asyncio.Event()
        self.ended: list[str] = []
        self.table = database.metadata.tables["job"]
        self.runner = JobRunner("dig", self._dig, database)

    async def _dig(self, job: Job) -> None:
        self.begun.set()
        try:
            await self.end.wait()
            self.ended.append("done")
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        async with self.database.transaction() as tx:
            await tx.enqueue("dig", key="hole", payload={})
        loop = asyncio.create_task(self.runner.run(self.stopping))
        try:
            await asyncio.wait_for(self.begun.wait(), 10)
            yield
        finally:
            self.stopping.set()
            await asyncio.wait_for(loop, 10)

    async def row(self) -> Any:
        async with self.database.read() as connection:
            return (await connection.execute(self.table.select())).one()

    async def change(self, **values: Any) -> None:
        async with self.database.transaction() as tx:
            await tx.execute(self.table.update().values(**values))

    async def until(self, outcome: list[str]) -> None:
        async with asyncio.timeout(10):
            while self.ended != outcome:
                await asyncio.sleep(0.01)


@pytest.fixture
def world(either_database: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(jobs, "LEASE_S", 0.3)
    return World(either_database)


async def test_work_ends_when_somebody_else_holds_its_lease_and_his_row_is_left_alone(world: World) -> None:
    async with world.working():
        await world.change(owner="somebody else", lease_until=time.time() + 60)
        await world.until(["cancelled"])
    row = await world.row()
    assert (row.state, row.owner, row.attempts) == ("running", "somebody else", 1)


async def test_work_goes_on_while_the_database_is_away_and_is_written_down_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.working():
        asked = asyncio.Event()

        @asynccontextmanager
        async def away(**_: Any) -> AsyncIterator[None]:
            asked.set()
            raise OSError("connection refused")
            yield

        monkeypatch.setattr(world.database, "transaction", away)
        await asyncio.wait_for(asked.wait(), 10)
        monkeypatch.undo()
        world.end.set()
        await world.until(["done"])
    assert (await world.row()).state == "done"


async def test_an_end_that_cannot_be_written_is_reached_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.working():
        whole, failures = world.database.transaction, 0

        @asynccontextmanager
        async def fails_once(**options: Any) -> AsyncIterator[Any]:
            nonlocal failures
            failures += bool(world.ended)
            if world.ended and failures == 1:
                raise OSError("connection refused")
            async with whole(**options) as tx:
                yield tx

        monkeypatch.setattr(world.database, "transaction", fails_once)
        world.end.set()
        await world.until(["done", "done"])
    row = await world.row()
    assert (row.state, row.attempts) == ("done", 2)


async def test_a_runner_that_is_told_to_leave_gives_its_work_back(world: World) -> None:
    async with world.database.transaction() as tx:
        await tx.enqueue("dig", key="hole", payload={})
    loop = asyncio.create_task(world.runner.run(world.stopping))
    await asyncio.wait_for(world.begun.wait(), 10)
    loop.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop
    row = await world.row()
    assert (world.ended, row.state, row.owner) == (["cancelled"], "queued", "")
