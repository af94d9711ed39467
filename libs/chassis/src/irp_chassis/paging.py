"""Lists that are read page by page: what comes after a place, so that nothing shifts when rows are added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irp_kernel.errors import CursorNotValid
from sqlalchemy import Column, Row, Select, tuple_

from irp_chassis.db import Database

MAX_PAGE = 1000  # rows
SEPARATOR = " "  # of the values of a place, none of which but the last may hold one


def size_of(asked: int) -> int:
    """Rows of a page that a request asks for; 0 = as many as one may have."""
    return min(max(asked, 0) or MAX_PAGE, MAX_PAGE)


async def read_page(
    database: Database, query: Select[Any], place: Sequence[Column[Any]], after: str, limit: int
) -> tuple[list[Row[Any]], str]:
    """Rows of a page, and where the next begins; empty = this was the last one.

    Args:
        database: of the rows.
        query: that selects at least the columns of the place.
        place: columns that order the rows, and that no two rows share.
        after: where the page before ended; empty = the first page.
        limit: rows.

    Raises:
        CursorNotValid: `after` is not where a page ended.
    """
    query = query.order_by(*place).limit(limit + 1)
    if after:
        query = query.where(tuple_(*place) > _read(after, place))
    async with database.read() as connection:
        rows = list((await connection.execute(query)).all())
    if len(rows) <= limit:
        return rows, ""
    return rows[:limit], SEPARATOR.join(str(rows[limit - 1]._mapping[column]) for column in place)


def _read(after: str, place: Sequence[Column[Any]]) -> tuple[Any, ...]:
    try:
        words = zip(place, after.split(SEPARATOR, len(place) - 1), strict=True)
        return tuple(column.type.python_type(word) for column, word in words)
    except ValueError:
        raise CursorNotValid from None
