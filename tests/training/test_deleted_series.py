"""What you learn here: a frozen dataset holds its series, with the runs and models that came of it."""

from __future__ import annotations

import pytest
from irp.common.v1.types_pb2 import Aggregate, ProjectRef
from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_training.adapters.change import SqlChange
from irp_training.adapters.db import METADATA, VERDICT
from irp_training.adapters.deleted_series import DeletedSeries
from irp_training.adapters.documents import to_document
from irp_training.domain.datasets.dataset import freeze
from irp_training.domain.datasets.split import Splits
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow, ModelRef, Run
from sqlalchemy import MetaData, select
from training_builders import a_case, a_ref


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


async def learnt(database: Database, objects: InMemoryObjects) -> str:
    """A dataset of series 1.2.1 and 1.2.2, a run on it, and its model; the dataset's digest."""
    snapshot = freeze("demo", [a_case(1), a_case(2)], Splits())
    manifest = await objects.put(
        snapshot.manifest(), project="demo", entity="dataset", id=snapshot.digest, kind="manifest",
        media_type="application/json", extension="json",
    )  # fmt: skip
    dataset = DatasetRow(digest=snapshot.digest, manifest=manifest, training=2, validation=0, test=0)
    run = Run(
        project="demo", id="run-1", model="cine", recipe="{}", dataset=dataset, actor="a", created_at="2026",
        state="succeeded",
    )  # fmt: skip
    model = Model(
        ref=ModelRef(name="cine", version=1, digest="d" * 64), bundle=a_ref(), created_at="2026", actor="a",
        licence="CC0-1.0", figures="{}", structures=("lv_blood_pool",), run=("demo", "run-1"),
    )  # fmt: skip
    async with database.transaction() as tx:
        change = SqlChange(tx)
        await change.add_dataset("demo", dataset)
        await change.add_run(run)
        row = {"name": "cine", "version": 1, "digest": "d" * 64, "created_at": "2026", "document": to_document(model)}
        await tx.execute(METADATA.tables["model_version"].insert().values(**row))
    return snapshot.digest


async def test_datasets_runs_and_models_refer_to_the_series_they_came_of(database: Database) -> None:
    objects = InMemoryObjects()
    room = DeletedSeries(database, objects, str)
    assert await room.references("demo", ["1.2.1"]) == []
    digest = await learnt(database, objects)
    found = await room.references("demo", ["1.2.1", "1.2.9"])
    assert [(one.kind, one.id, one.series_uid, one.state) for one in found] == [
        ("dataset", digest, "1.2.1", "frozen"),
        ("run", "run-1", "1.2.1", "succeeded"),
        ("model", "cine@1", "1.2.1", "registered"),
    ]
    assert await room.references("other", ["1.2.1"]) == []


async def test_the_verdict_on_a_deleted_volume_is_forgotten_and_not_learnt_again(database: Database) -> None:
    fact = SeriesDeleted(project=ProjectRef(id="demo"), aggregate=Aggregate(version=2), series_uid="1.2.1")

    async def verdicts(version: int) -> list[int]:
        async with database.transaction() as tx:
            await SqlChange(tx).remember_verdict("demo", "1.2.1", version, "good")
        async with database.read() as connection:
            return list(await connection.scalars(select(VERDICT.c.version)))

    assert await verdicts(1) == [1]
    for _ in range(2):
        await DeletedSeries(database, InMemoryObjects(), str).forget(fact)
    assert await verdicts(1) == []
    assert await verdicts(3) == [3]
