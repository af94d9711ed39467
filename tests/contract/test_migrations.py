"""What you learn here: a room's migrations make exactly the tables that its code declares, on both databases."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from irp_chassis.db import Database
from irp_chassis.facts import ROOMS
from irp_chassis.migrate import migrate
from sqlalchemy import Connection, MetaData, text


def _differences(connection: Connection, metadata: MetaData) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [d for d in compare_metadata(context, metadata) if "alembic_version" not in str(d)]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("room", ROOMS)
async def test_migrations_and_tables_say_the_same(
    room: str, kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    metadata = importlib.import_module(f"irp_{room}.adapters.db").METADATA
    url = f"sqlite+aiosqlite:///{tmp_path}/{room}.db"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_server").url
    database = Database(url, metadata)
    if kind == "postgresql":
        async with database.engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
    for _ in range(2):  # the second time changes nothing
        await migrate(database, f"irp_{room}.adapters.migrations")
    async with database.engine.connect() as connection:
        assert await connection.run_sync(_differences, metadata) == []
    await database.close()
