"""A training room in memory: rows, a project with accepted masks, and the verbs that begin a run and work on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_training.adapters.store import SqlStore
from irp_training.app.approvals import Approvals
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.finish_run import FinishRun
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.keep_apart import KeepApart
from irp_training.app.ports import Project
from irp_training.app.start_run import StartRun
from irp_training.app.train_run import Terms, TrainRun
from irp_training.domain.price import FREE, Price
from training_builders import a_case


async def a_room(
    database: Database, worker: Any, price: Price = FREE, files: Any = None
) -> tuple[SqlStore, StartRun, TrainRun, Project]:
    """`files`: that the worker is given; None = there are none."""
    store, objects = SqlStore(database), InMemoryObjects()

    def now() -> str:
        return "2026-01-01T00:00:00Z"

    configuration = await objects.put(
        b'{"name": "demo"}', project="demo", entity="c", id="1", kind="k", media_type="a/b", extension="json"
    )
    project = Project(id="demo", revision=1, configuration=configuration)
    async with store.change() as change:
        await change.remember_project(project)
        for number in range(1, 9):
            await change.remember_case("demo", replace(a_case(number), judged={"lv_blood_pool": 1}))
    configurations = Configurations(objects)
    judge = JudgeCandidate(store, objects, worker)
    finish = FinishRun(store, objects, judge, Approvals(store, configurations, 0), now)
    train = TrainRun(store, objects, worker, finish, Terms(threads=1, price=price), files or objects)
    create = CreateDataset(store, objects, configurations)
    return store, StartRun(store, create, KeepApart(store, objects), now, price), train, project
