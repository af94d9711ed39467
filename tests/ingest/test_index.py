"""What you learn here: the index counts right when many instances of one series arrive at once, on both databases."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from irp_chassis.db import Database
from irp_chassis.migrate import migrate
from irp_deid import Report
from irp_ingest.adapters.db import INSTANCE, METADATA, SERIES
from irp_ingest.adapters.index import SqlIndex
from irp_ingest.adapters.secrets import BadInstallationKey, ProjectSecrets, read_key
from irp_ingest.adapters.sweeper import KIND, Sweeper
from irp_ingest.app.ports import ProjectAt
from irp_ingest.domain.errors import ContentDiffers
from irp_ingest.domain.intake import Intake
from irp_kernel import ObjectRef
from irp_kernel.errors import DataLoss
from sqlalchemy import MetaData, func, inspect, select

REF = ObjectRef(bucket="b", key="k", sha256="0" * 64, size=1, media_type="application/dicom")
PROJECT = ProjectAt(id="hearts", revision=1, configuration=REF)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


@pytest.fixture
def index(either_database: Database) -> SqlIndex:
    return SqlIndex(either_database, ProjectSecrets(either_database, bytes(32)))


def an_intake(number: int, *, fingerprint: str = "f") -> Intake:
    return Intake(
        data=b"", fingerprint=fingerprint, study_uid="1.1", series_uid="1.2", sop_uid=f"1.3.{number}", sop_class="1.4",
        transfer_syntax="1.5", patient="P", site="S", header={}, planes=(), candidates=[], sequences=(),
        report=Report(edition="", options=(), actions={}, removed=()), sha256="0" * 64,
    )  # fmt: skip


async def test_instances_that_arrive_at_once_are_all_counted(index: SqlIndex, either_database: Database) -> None:
    await asyncio.gather(*(index.add(PROJECT, an_intake(number % 16), REF, 1.0) for number in range(24)))
    async with either_database.read() as connection:
        rows = (await connection.execute(select(func.count()).select_from(INSTANCE))).scalar_one()
        count = (await connection.execute(select(SERIES.c.count))).scalar_one()
    assert (rows, count) == (16, 16)


async def test_instances_that_arrive_at_once_have_each_their_own_outcome(
    index: SqlIndex, either_database: Database
) -> None:
    other = ObjectRef(bucket="b", key="k", sha256="1" * 64, size=1, media_type="application/dicom")
    outcomes = await asyncio.gather(
        index.add(PROJECT, an_intake(1), REF, 1.0),
        index.add(PROJECT, an_intake(1), REF, 1.0),
        index.add(PROJECT, an_intake(1, fingerprint="another"), other, 1.0),
        index.add(PROJECT, an_intake(2), REF, 1.0),
        return_exceptions=True,
    )
    assert (outcomes[0], outcomes[1], outcomes[3]) == (True, False, True)
    assert isinstance(outcomes[2], ContentDiffers)
    async with either_database.read() as connection:
        assert (await connection.execute(select(SERIES.c.count))).scalar_one() == 2


async def test_the_same_bytes_by_another_way_are_the_same_and_others_are_not(index: SqlIndex) -> None:
    assert await index.add(PROJECT, an_intake(1), REF, 1.0)
    assert not await index.add(PROJECT, an_intake(1, fingerprint="another encoding"), REF, 1.0)
    other = ObjectRef(bucket="b", key="k", sha256="1" * 64, size=1, media_type="application/dicom")
    with pytest.raises(ContentDiffers):
        await index.add(PROJECT, an_intake(1, fingerprint="another"), other, 1.0)


async def test_a_quiet_series_is_queued_once_by_any_number_of_sweepers(
    index: SqlIndex, either_database: Database
) -> None:
    await index.add(PROJECT, an_intake(1), REF, -1.0)
    sweepers = [Sweeper(either_database) for _ in range(3)]
    await asyncio.gather(*(sweeper.sweep() for sweeper in sweepers), return_exceptions=True)
    await sweepers[0].sweep()
    job = METADATA.tables["job"]
    async with either_database.read() as connection:
        assert [row.kind for row in await connection.execute(select(job))] == [KIND]


async def test_refusals_are_counted_by_reason(index: SqlIndex, either_database: Database) -> None:
    await asyncio.gather(*(index.reject("hearts", "NOT_DICOM", "why") for _ in range(8)))
    rejection = METADATA.tables["rejection"]
    async with either_database.read() as connection:
        (row,) = await connection.execute(select(rejection))
    assert (row.reason, row.count) == ("NOT_DICOM", 8)


async def test_two_replicas_agree_on_a_projects_secret(either_database: Database) -> None:
    replicas = [ProjectSecrets(either_database, bytes(32)) for _ in range(4)]
    keys = await asyncio.gather(*(replica.site_key("hearts", "north") for replica in replicas))
    assert len(set(keys)) == 1
    with pytest.raises(DataLoss):
        await ProjectSecrets(either_database, bytes([1]) * 32).site_key("hearts", "north")


@pytest.mark.parametrize("text", ["", "abc", "zz" * 32, "ab" * 31])
def test_an_installation_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadInstallationKey):
        read_key(text)


async def test_the_migrations_make_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/migrated.db", METADATA)
    await migrate(database, "irp_ingest.adapters.migrations")
    async with database.engine.connect() as connection:
        columns = await connection.run_sync(
            lambda sync: {
                table: {(c["name"], str(c["type"]), c["nullable"]) for c in inspect(sync).get_columns(table)}
                for table in METADATA.tables
            }
        )
    dialect = database.engine.dialect
    await database.close()
    for name, table in METADATA.tables.items():
        assert columns[name] == {(c.name, c.type.compile(dialect), bool(c.nullable)) for c in table.columns}, name


async def test_an_assembly_that_a_late_instance_overtook_is_not_kept(
    index: SqlIndex, either_database: Database
) -> None:
    await index.add(PROJECT, an_intake(1), REF, 1.0)
    before = await index.count("hearts", "1.2")
    await index.add(PROJECT, an_intake(2), REF, 1.0)
    await index.not_assembled("hearts", "1.2", before, "SERIES_PITCH_UNEVEN", "why")
    async with either_database.read() as connection:
        assert (await connection.execute(select(SERIES.c.state))).scalar_one() == "receiving"
