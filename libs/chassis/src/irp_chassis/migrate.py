"""Alembic without a tree of files: a room names its package of versions, the chassis does the rest."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from irp_chassis.db import Database
from irp_chassis.tables import new_metadata

LOCK = 0x1297  # PostgreSQL advisory lock: one replica migrates, the others wait


def create_chassis_tables(op: Operations) -> None:
    """Create outbox, inbox and job: the first lines of a room's first migration."""
    new_metadata().create_all(op.get_bind())


async def migrate(database: Database, package: str, version: str = "head") -> None:
    """Bring a room's database to the newest version in `package`.versions, or to the one that is named."""
    scripts = script_directory(package)
    async with database.engine.begin() as connection:
        await connection.run_sync(_upgrade, scripts, database.metadata, version)


def script_directory(package: str) -> ScriptDirectory:
    """The versions of a room."""
    folder = Path(importlib.import_module(package).__path__[0])
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "os")
    config.set_main_option("version_locations", str(folder / "versions"))
    return ScriptDirectory.from_config(config)


def _upgrade(connection: Connection, scripts: ScriptDirectory, metadata: MetaData, version: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))

    def steps(revision: Any, _context: MigrationContext) -> Any:
        return scripts._upgrade_revs(version, revision)

    config = Config()
    with EnvironmentContext(config, scripts, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=metadata, transactional_ddl=False)
        environment.run_migrations()
