"""What you learn here: pages of a list hold every row once, whatever is added meanwhile, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from irp_chassis.db import Database
from irp_chassis.paging import MAX_PAGE, read_page, size_of
from irp_chassis.tables import new_metadata
from irp_kernel.errors import InvalidArgument
from sqlalchemy import BigInteger, Column, MetaData, String, Table, select


@pytest.fixture
def metadata() -> MetaData:
    metadata = new_metadata()
    Table(
        "version",
        metadata,
        Column("name", String(64), primary_key=True),
        Column("number", BigInteger, primary_key=True),
    )
    return metadata


async def add(database: Database, name: str, number: int) -> None:
    async with database.transaction() as tx:
        await tx.execute(tx.table("version").insert().values(name=name, number=number))


async def test_every_row_is_on_one_page_also_where_rows_are_added_between_two(either_database: Database) -> None:
    table = either_database.metadata.tables["version"]
    place, found, after = (table.c.name, table.c.number), list[tuple[str, int]](), ""
    for number in (9, 10, 11, 2):
        await add(either_database, "net", number)
    await add(either_database, "heart", 1)
    while after or not found:
        rows, after = await read_page(either_database, select(table), place, after, 2)
        found += [(row.name, row.number) for row in rows]
        if len(found) == 2:
            await add(either_database, "aorta", 1)  # before what was shown: it is on no page, and shifts none
            await add(either_database, "valve", 1)
    assert found == [("heart", 1), *(("net", n) for n in (2, 9, 10, 11)), ("valve", 1)]  # numbers, not words


@pytest.mark.parametrize("after", ["net", "net nine", " "])
async def test_what_is_no_place_is_refused(after: str, database: Database) -> None:
    table: Any = database.metadata.tables["version"]
    with pytest.raises(InvalidArgument):
        await read_page(database, select(table), (table.c.name, table.c.number), after, 2)


def test_a_request_that_says_nothing_gets_the_largest_page() -> None:
    assert [size_of(asked) for asked in (0, -3, 1, 7, 10**9)] == [MAX_PAGE, MAX_PAGE, 1, 7, MAX_PAGE]
