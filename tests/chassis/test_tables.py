"""What you learn here: what a transaction promises, also to concurrent writers and repeated deliveries."""

from __future__ import annotations

import asyncio

import pytest
from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis.db import AlreadyHandled, Database, Delivery, current_delivery
from irp_chassis.delivery import PARK_AFTER_FAILURES, HandleOnce, retry_or_park
from irp_chassis.inbox import Inbox
from irp_chassis.tables import new_metadata
from irp_kernel.errors import Aborted, AlreadyExists, InvalidArgument, NotYetKnown
from sqlalchemy import Column, Integer, MetaData, String, Table, select


@pytest.fixture
def metadata() -> MetaData:
    metadata = new_metadata()
    Table("counter", metadata, Column("name", String(16), primary_key=True), Column("n", Integer, nullable=False))
    return metadata


def a_fact() -> ProjectConfigured:
    return ProjectConfigured(project=types_pb2.ProjectRef(id="demo", revision=1))


async def count(database: Database, table: str) -> int:
    async with database.read() as connection:
        return len((await connection.execute(select(database.metadata.tables[table]))).all())


async def test_concurrent_increments_are_all_kept(either_database: Database) -> None:
    database = either_database
    counter = database.metadata.tables["counter"]
    async with database.transaction() as tx:
        await tx.upsert(counter, {"name": "a", "n": 0}, keys=("name",))

    async def increment() -> None:
        while True:
            try:
                async with database.transaction() as tx:
                    n = (await tx.execute(select(counter.c.n))).scalar_one()
                    await asyncio.sleep(0)
                    await tx.execute(counter.update().values(n=n + 1))
            except Aborted:  # PostgreSQL says so; the door answers 409, the handler is called again
                await asyncio.sleep(0.01)
            else:
                return

    await asyncio.gather(*(increment() for _ in range(60)))
    async with database.read() as connection:
        assert (await connection.execute(select(counter.c.n))).scalar_one() == 60


async def test_a_failed_transaction_keeps_neither_row_nor_fact_nor_job(either_database: Database) -> None:
    database = either_database
    with pytest.raises(ZeroDivisionError):
        async with database.transaction() as tx:
            await tx.upsert(database.metadata.tables["counter"], {"name": "a", "n": 1}, keys=("name",))
            await tx.announce(a_fact())
            await tx.enqueue("work", key="k", payload={})
            raise ZeroDivisionError
    assert [await count(database, table) for table in ("counter", "outbox", "job")] == [0, 0, 0]


async def test_the_mark_of_a_delivery_is_committed_with_the_rows_or_not_at_all(either_database: Database) -> None:
    database = either_database
    token = current_delivery.set(Delivery("quality--x", "m1"))
    async with database.transaction() as tx:
        await tx.announce(a_fact())
    current_delivery.set(Delivery("quality--x", "m1"))
    with pytest.raises(AlreadyHandled):
        async with database.transaction() as tx:
            await tx.announce(a_fact())
    current_delivery.reset(token)
    assert await count(database, "outbox") == 1


async def test_a_repeated_delivery_never_reaches_the_handler(either_database: Database) -> None:
    database = either_database
    seen: list[str] = []

    async def handler(fact: ProjectConfigured) -> None:
        seen.append(fact.project.id)

    handle = HandleOnce("quality--x", ProjectConfigured, handler, Inbox(database))
    outcomes = [(await handle("m1", "s", a_fact().SerializeToString())).name for _ in range(3)]
    assert (outcomes, seen) == (["done", "repeated", "repeated"], ["demo"])


async def test_an_unexpected_failure_is_tried_again_and_at_last_parked(either_database: Database) -> None:
    database = either_database

    async def handler(_fact: ProjectConfigured) -> None:
        raise KeyError("patient name that must not be logged")

    inbox = Inbox(database)
    handle = HandleOnce("quality--x", ProjectConfigured, handler, inbox)
    outcomes = [await handle("m1", "s", a_fact().SerializeToString()) for _ in range(PARK_AFTER_FAILURES)]
    assert [o.name for o in outcomes] == ["failing"] * (PARK_AFTER_FAILURES - 1) + ["parked"]
    waits = [o.retry_s for o in outcomes[:-1]]
    assert waits == sorted(waits, key=lambda wait: wait or 0)
    (parked,) = await inbox.in_state("parked")
    assert parked.reason == "KeyError"


async def test_bytes_that_are_no_fact_are_parked_at_once(either_database: Database) -> None:
    database = either_database

    async def handler(_fact: ProjectConfigured) -> None:
        raise AssertionError

    handle = HandleOnce("quality--x", ProjectConfigured, handler, Inbox(database))
    assert (await handle("m1", "s", b"\xff\xff\xff")).name == "parked"


def test_the_error_table_decides_what_is_tried_again() -> None:
    assert retry_or_park(InvalidArgument(), 1) is None
    assert retry_or_park(NotYetKnown(), 20) is not None
    assert retry_or_park(AlreadyExists(), 1) is not None
    assert retry_or_park(RuntimeError(), PARK_AFTER_FAILURES) is None
