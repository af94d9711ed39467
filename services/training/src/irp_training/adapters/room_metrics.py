"""Prometheus metrics of the training room, read from its rows: each process tells the same, a restart forgets none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, get_args

import structlog
from irp_chassis.db import Database
from prometheus_client import Gauge
from sqlalchemy import func, select

from irp_training.adapters import db
from irp_training.adapters.documents import drift_from_document, run_from_document
from irp_training.domain.drift.blocks import Drift
from irp_training.domain.recipes.recipe import STAGES
from irp_training.domain.run import Run, State

LOOK_S = 30.0
RUNS = Gauge("irp_training_runs", "Training runs by state", ["state"])
OLDEST = Gauge("irp_training_queue_age_seconds", "How long the oldest queued run has waited; 0 = none waits")
EPOCHS = Gauge(
    "irp_training_epochs_learnt", "Passes over training data of all runs; its rate is passes per second", ["stage"]
)
DICE = Gauge(
    "irp_training_last_dice",
    "Mean Dice of the newest finished run on patients kept out",
    ["model", "split", "structure"],
)
PROMOTIONS = Gauge("irp_training_promotions", "Promotions and rollbacks so far", ["model", "kind"])
DRIFTED = Gauge(
    "irp_training_model_drifted", "1 = its proposals are corrected more than before", ["model", "version", "by"]
)
AGREEMENT = Gauge(
    "irp_training_proposal_dice",
    "Mean Dice of proposals and accepted masks: the first patients of a version, and the newest block",
    ["model", "version", "when"],
)
LOSS = "_loss"


class RoomMetrics:
    """Looks at the rows from time to time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping`; a database that is away leaves the figures as they were."""
        while not stopping.is_set():
            try:
                await self.look()
            except Exception as error:
                structlog.get_logger().warning("metrics_not_read", exc_info=error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)

    async def look(self, now: datetime | None = None) -> None:
        """Read the rows, set the figures."""
        run, metric, promotion = db.RUN.c, db.METRIC.c, db.PROMOTION.c
        states = select(run.state, func.count()).group_by(run.state)
        oldest = select(func.min(run.created_at)).where(run.state == "queued")
        epochs = select(metric.name, func.count()).where(metric.name.like(f"%{LOSS}")).group_by(metric.name)
        promotions = select(promotion.name, promotion.kind, func.count()).group_by(promotion.name, promotion.kind)
        newest = select(run.model, func.max(run.created_at)).where(run.state == "succeeded").group_by(run.model)
        async with self._database.read(at_once=True) as connection:
            counts: dict[str, int] = dict((await connection.execute(states)).tuples().all())
            since = (await connection.execute(oldest)).scalar()
            learnt = (await connection.execute(epochs)).tuples().all()
            promoted = (await connection.execute(promotions)).tuples().all()
            found = (await connection.execute(newest)).tuples().all()
            last = [await self._run(connection, model, at) for model, at in found]
            drifts = [drift_from_document(row) for row in await connection.scalars(select(db.DRIFT.c.document))]
        for state in get_args(State):
            RUNS.labels(state).set(counts.get(state, 0))
        waited = (now or datetime.now(UTC)) - datetime.fromisoformat(since) if since else None
        OLDEST.set(max(0.0, waited.total_seconds()) if waited else 0)
        passes: dict[str, int] = dict(learnt)
        for stage in STAGES:  # also before the first pass: what is not there cannot be said to stand still
            EPOCHS.labels(stage).set(passes.get(f"{stage}{LOSS}", 0))
        for model, kind, count in promoted:
            PROMOTIONS.labels(model, kind).set(count)
        _set_dice(last)
        _set_drift(drifts)

    @staticmethod
    async def _run(connection: Any, model: str, created_at: str) -> Run:
        row = db.RUN.c
        query = select(row.document).where(row.model == model, row.created_at == created_at, row.state == "succeeded")
        return run_from_document((await connection.execute(query.limit(1))).scalar_one())


def _set_dice(runs: Iterable[Run]) -> None:
    for run in runs:
        for split, structures in json.loads(run.summary or "{}").items():
            for structure, measures in structures.items():
                if "dice" in measures:
                    DICE.labels(run.model, split, structure).set(measures["dice"]["mean"])


def _set_drift(drifts: Iterable[Drift]) -> None:
    """By version and kind of group: names of sites are no labels, for there may be many."""
    alarms: dict[tuple[str, str, str], bool] = {}
    AGREEMENT.clear()  # a mean whose patients were deleted is not told any more
    for one in drifts:
        name, version = one.model.name, str(one.model.version)
        alarms[name, version, one.by] = alarms.get((name, version, one.by), False) or one.drifted
        if one.by == "all" and one.reference_cases:
            AGREEMENT.labels(name, version, "reference").set(one.reference)
            if one.recent_cases:
                AGREEMENT.labels(name, version, "recent").set(one.recent)
    for labels, drifted in alarms.items():
        DRIFTED.labels(*labels).set(int(drifted))
