"""What you learn here: what Prometheus sees of runs is read from their rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from irp_chassis.db import Database
from irp_training.adapters.db import METADATA
from irp_training.adapters.room_metrics import RoomMetrics
from irp_training.adapters.store import SqlStore
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.run import DatasetRow, Metric, Run
from prometheus_client import REGISTRY
from sqlalchemy import MetaData
from training_builders import a_ref


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


async def test_runs_their_queue_their_passes_and_their_newest_dice_are_told(database: Database) -> None:
    run = Run(
        project="demo",
        id="run-1",
        model="measured",
        recipe=Recipe().to_json(),
        dataset=DatasetRow(digest="d", manifest=a_ref(), training=1, validation=1, test=0),
        actor="somebody",
        created_at="2026-01-01T00:00:00+00:00",
    )
    done = replace(run, id="run-2", state="succeeded", summary='{"test": {"scar": {"dice": {"mean": 0.75}}}}')
    async with SqlStore(database).change() as change:
        await change.add_run(run)
        await change.add_run(done)
        await change.add_metrics(done, [Metric(epoch, "segment_loss", 1.0) for epoch in (1, 2, 3)])
    await RoomMetrics(database).look(datetime.fromisoformat("2026-01-01T00:01:00+00:00"))
    value = REGISTRY.get_sample_value
    assert (value("irp_training_runs", {"state": "queued"}), value("irp_training_runs", {"state": "failed"})) == (1, 0)
    assert value("irp_training_queue_age_seconds") == 60
    assert value("irp_training_epochs_learnt", {"stage": "segment"}) == 3
    assert value("irp_training_epochs_learnt", {"stage": "locate"}) == 0
    assert value("irp_training_last_dice", {"model": "measured", "split": "test", "structure": "scar"}) == 0.75
