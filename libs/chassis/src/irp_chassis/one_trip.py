"""SQLite for the event loop, with one trip to the connection's thread per statement.

SQLAlchemy's adapter of aiosqlite makes four (cursor, execute, fetchall, close). A trip costs a tenth of a millisecond,
most statements a hundredth, so that a request that reads four rows waited for little else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, Self

import aiosqlite

CHUNK = 64  # rows per trip of aiosqlite's own cursors, which are not used here


class Cursor:
    """What SQLAlchemy's adapter asks of a cursor: everything is known when `execute` returns."""

    def __init__(self, trip: Callable[..., Any]) -> None:
        self._trip = trip
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount, self.arraysize = -1, 1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> Self:
        """Run one statement and keep its rows."""
        return await self._keep(sqlite3.Cursor.execute, statement, parameters)

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> Self:
        """Run one statement with each set of parameters."""
        return await self._keep(sqlite3.Cursor.executemany, statement, parameters)

    async def fetchall(self) -> list[Any]:
        """The rows, once."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing is open."""

    async def _keep(self, how: Callable[..., Any], *said: Any) -> Self:
        self.description, self._rows, self.rowcount, self.lastrowid = await self._trip(how, *said)
        return self


class Connection(aiosqlite.Connection):
    """aiosqlite's connection, whose cursors make one trip."""

    def cursor(self) -> Cursor:  # type: ignore[override]
        """A cursor that has not been anywhere yet."""
        return Cursor(partial(self._execute, self._run))

    async def rollback(self) -> None:
        """Only where there is something to take back: a trip less for those who read."""
        if self.in_transaction:
            await super().rollback()

    def _run(self, how: Callable[..., Any], *said: Any) -> tuple[Any, list[Any], int, int | None]:
        """In the connection's thread."""
        with closing(self._conn.cursor()) as cursor:
            how(cursor, *said)
            rows = cursor.fetchall() if cursor.description else []
            return cursor.description, rows, cursor.rowcount, cursor.lastrowid


async def connect(path: str) -> Connection:
    """Open a file; for SQLAlchemy's `async_creator`."""
    connection = Connection(partial(sqlite3.connect, path), CHUNK)
    connection._thread.daemon = True  # as SQLAlchemy does: a connection that nobody closed must not keep a process
    await connection
    return connection
