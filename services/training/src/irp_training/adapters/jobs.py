"""Work that waits in rows: which verb does it, and what the clock begins."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from irp_chassis import Room
from irp_chassis.jobs import Job

from irp_training.adapters.change import APPRAISAL_JOB, AUTOMATIC_JOB, PRECISION_JOB, RUN_JOB
from irp_training.adapters.queue import run_order
from irp_training.adapters.watched import VALIDATION_JOB
from irp_training.app.appraise_model import AppraiseModel
from irp_training.app.guard_precision import GuardPrecision
from irp_training.app.keep_schedule import KeepSchedule
from irp_training.app.start_automatic_run import StartAutomaticRun
from irp_training.app.train_run import TrainRun
from irp_training.app.validate_model import ValidateModel

CLOCK_LOOK_S = 20.0  # seconds between two looks at schedules


def learn(room: Room[Any], train: TrainRun, begin: StartAutomaticRun) -> None:
    """Runs, and what makes them begin by themselves."""

    async def on_run(job: Job) -> None:
        await train(job.payload["project"], job.payload["run"], turn=job.attempt)

    async def on_automatic(job: Job) -> None:
        await begin(job.payload["project"], job.payload["key"])

    room.job(RUN_JOB, on_run, first=run_order())
    room.job(AUTOMATIC_JOB, on_automatic)


def judge_versions(room: Room[Any], guard: GuardPrecision, appraise: AppraiseModel, validate: ValidateModel) -> None:
    """What is asked of versions."""

    async def on_trial(job: Job) -> None:
        await guard(job.payload["name"], job.payload["version"], job.payload["precision"], turn=job.attempt)

    async def on_appraisal(job: Job) -> None:
        await appraise(job.payload["name"], job.payload["version"], turn=job.attempt)

    async def on_validation(job: Job) -> None:
        await validate(job.payload["name"], job.payload["version"], job.payload["id"], turn=job.attempt)

    room.job(PRECISION_JOB, on_trial)
    room.job(APPRAISAL_JOB, on_appraisal)
    room.job(VALIDATION_JOB, on_validation)


def look_at_the_clock(room: Room[Any], keep_schedule: KeepSchedule) -> None:
    """Schedules, as long as the room lives."""

    async def look(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await keep_schedule()
            except Exception as error:  # a part that is down for a moment: the next look makes up for this one
                room.log.error("schedule_not_kept", exc_info=error)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), CLOCK_LOOK_S)

    room.spawn(look)
