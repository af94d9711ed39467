"""A room's tables: SQLite on one machine, PostgreSQL in a cluster, the same statements on both.

A transaction carries rows, facts (outbox), jobs, and the mark of the delivery being handled (inbox): all or nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any

from google.protobuf.message import Message
from irp_kernel.errors import Aborted, AlreadyExists
from opentelemetry import propagate
from sqlalchemy import MetaData, Table, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import CursorResult, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql import Executable

from irp_chassis import one_trip
from irp_chassis.facts import fact_id, kind_of
from irp_chassis.failpoints import AFTER_COMMIT, pass_failpoint

EACH, AT_ONCE = "irp_each", "irp_at_once"  # options of an engine: how its reads see what others commit
AUTOCOMMIT = {"isolation_level": "AUTOCOMMIT"}
CONFLICTS = {"40001", "40P01"}  # PostgreSQL: serialization failure, deadlock
BUSY_TIMEOUT_MS = 30_000  # ms that a SQLite writer waits for another


class AlreadyHandled(AlreadyExists):
    """The fact was handled before.

    Nothing is to be done: the delivery is acknowledged.
    """


@dataclass(slots=True)
class Delivery:
    """The message being handled in the present task; its mark is committed with the handler's rows."""

    durable: str
    message_id: str
    marked: bool = False


current_delivery: ContextVar[Delivery | None] = ContextVar("irp_delivery", default=None)


class Transaction:
    """Rows, facts and jobs that are committed together."""

    def __init__(self, connection: AsyncConnection, metadata: MetaData) -> None:
        self.connection = connection
        self.announced = 0
        self.enqueued = 0
        self._tables = metadata.tables

    async def execute(self, statement: Executable, values: Any = None) -> CursorResult[Any]:
        """Run one SQLAlchemy Core statement."""
        return await self.connection.execute(statement, values)

    def table(self, name: str) -> Table:
        """A table of the room by its name."""
        return self._tables[name]

    async def upsert(self, table: Table, values: Mapping[str, Any], *, keys: Sequence[str]) -> None:
        """Insert a row, or update the row with the same keys."""
        statement = self._insert(table).values(**values)
        changed = {name: statement.excluded[name] for name in values if name not in keys}
        if changed:
            statement = statement.on_conflict_do_update(index_elements=list(keys), set_=changed)
        else:
            statement = statement.on_conflict_do_nothing(index_elements=list(keys))
        await self.connection.execute(statement)

    async def insert_once(self, table: Table, values: Mapping[str, Any], *, keys: Sequence[str]) -> bool:
        """Insert a row unless one with the same keys is there; True if it was inserted."""
        statement = self._insert(table).values(**values).on_conflict_do_nothing(index_elements=list(keys))
        return (await self.connection.execute(statement)).rowcount == 1

    async def announce(self, fact: Message) -> None:
        """Put a fact into the outbox; it is published after the commit."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        row = {
            "message_id": fact_id(fact),
            "subject": kind_of(type(fact)).subject_of(fact),
            "data": fact.SerializeToString(deterministic=True),
            "traceparent": carrier.get("traceparent", ""),
            "at": time.time(),
        }
        await self.connection.execute(self._tables["outbox"].insert().values(**row))
        self.announced += 1

    async def enqueue(self, kind: str, *, key: str, payload: Mapping[str, Any], again: bool = False) -> bool:
        """Queue a job; the same (kind, key) is queued once. True if it is new.

        Args:
            kind: of the job.
            key: of the job.
            payload: for whoever works on it.
            again: one that has failed is queued anew.
        """
        row = {"kind": kind, "key": key, "payload": dict(payload), "state": "queued", "created_at": time.time()}
        self.enqueued += 1
        job = self._tables["job"]
        if await self.insert_once(job, row, keys=("kind", "key")):
            return True
        if again:
            failed = job.update().where(job.c.kind == kind, job.c.key == key, job.c.state == "failed")
            await self.connection.execute(failed.values(**row, attempts=0, not_before=0.0, reason=""))
        return False

    async def mark(self, delivery: Delivery) -> None:
        """Write down that a delivery was handled.

        Raises:
            AlreadyHandled: it had been before.
        """
        inbox = self._tables["inbox"]
        values = {"state": "done", "at": time.time(), "data": None}
        done = await self.connection.execute(
            inbox.update()
            .where(inbox.c.durable == delivery.durable, inbox.c.message_id == delivery.message_id)
            .where(inbox.c.state != "done")
            .values(**values)
        )
        if done.rowcount:
            return
        row = {"durable": delivery.durable, "message_id": delivery.message_id, **values}
        try:
            await self.connection.execute(inbox.insert().values(**row))
        except IntegrityError:
            raise AlreadyHandled from None

    def _insert(self, table: Table) -> Any:
        module = postgresql if self.connection.dialect.name == "postgresql" else sqlite
        return module.insert(table)


class Database:
    """One room's database."""

    def __init__(self, url: str, metadata: MetaData) -> None:
        self.metadata = metadata
        self.url = url
        self.engine = _engine(url)
        # Without a transaction around it a statement saves two trips, to a thread or to a server.
        self._each = self.engine.execution_options(**({EACH: True} if self.is_sqlite else AUTOCOMMIT))
        self._at_once = self.engine.execution_options(**{AT_ONCE: True})
        # SQLite lets writers that wait sleep, up to 0.1 s at a time, while nobody writes; here the next one goes on.
        self._turn: AbstractAsyncContextManager[Any] = asyncio.Lock() if self.is_sqlite else nullcontext()
        self.on_announced: Callable[[], None] = lambda: None
        self.on_enqueued: Callable[[], None] = lambda: None

    @property
    def is_sqlite(self) -> bool:
        """True on SQLite: this process is the only one with this file."""
        return self.engine.dialect.name == "sqlite"

    @asynccontextmanager
    async def transaction(self, *, mark: bool = True) -> AsyncIterator[Transaction]:
        """Commit what happens inside, together with the mark of the delivery being handled.

        Args:
            mark: False for a side transaction of an event handler that commits again afterwards.

        Raises:
            AlreadyHandled: another attempt at the same delivery won; nothing of this one is kept.
            Aborted: another transaction changed the same rows (PostgreSQL); nothing of this one is kept.
        """
        delivery = current_delivery.get() if mark else None
        with _conflicts_as_aborted():
            async with self._turn, self.engine.begin() as connection:
                transaction = Transaction(connection, self.metadata)
                yield transaction
                if delivery is not None and not delivery.marked:
                    await transaction.mark(delivery)
        if delivery is not None:
            delivery.marked = True
        pass_failpoint(AFTER_COMMIT)
        if transaction.announced:
            self.on_announced()
        if transaction.enqueued:
            self.on_enqueued()

    async def append(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows that belong to nothing else: one statement, all or none; one trip, a transaction makes four."""
        insert = table.insert() if len(rows) == 1 else table.insert().values(rows)
        async with self._turn, self._each.connect() as connection:
            await connection.execute(insert, rows[0] if len(rows) == 1 else None)
        pass_failpoint(AFTER_COMMIT)

    @asynccontextmanager
    async def read(self, *, at_once: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection for reading; nothing is committed.

        Args:
            at_once: all statements see the same moment; else each sees what is committed when it begins.
        """
        async with (self._at_once if at_once else self._each).connect() as connection:
            yield connection

    async def check(self) -> None:
        """Raise unless the database answers."""
        async with self.read() as connection:
            await asyncio.wait_for(connection.exec_driver_sql("SELECT 1"), 5)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


@contextmanager
def _conflicts_as_aborted() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") in CONFLICTS:
            raise Aborted from None
        raise


def _engine(url: str) -> AsyncEngine:
    if not url.startswith("sqlite"):
        # The default, READ COMMITTED, loses concurrent read-modify-writes without an error.
        return create_async_engine(url, pool_pre_ping=True, isolation_level="REPEATABLE READ")
    path = make_url(url).database or ":memory:"
    engine = create_async_engine(url, async_creator=partial(one_trip.connect, path))
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin by itself: see _begin_sqlite
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={BUSY_TIMEOUT_MS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    options = connection.get_execution_options()
    if not options.get(EACH):
        # A deferred BEGIN loses concurrent read-modify-writes without an error.
        connection.exec_driver_sql("BEGIN" if options.get(AT_ONCE) else "BEGIN IMMEDIATE")
