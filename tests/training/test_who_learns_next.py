"""What you learn here: the highest priority begins first, then the oldest, and each run knows its place."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.db import Database
from irp_chassis.jobs import Job, JobRunner
from irp_kernel import ObjectRef
from irp_kernel.errors import InvalidArgument, PermissionDenied
from irp_training.adapters.change import RUN_JOB
from irp_training.adapters.db import METADATA
from irp_training.adapters.documents import run_from_document, to_document
from irp_training.adapters.queue import run_order
from irp_training.adapters.rpc import TrainingServicer
from irp_training.adapters.store import SqlStore
from irp_training.adapters.wire import project_to_proto
from irp_training.app.ports import Project
from irp_training.app.prioritise_run import PrioritiseRun
from irp_training.domain.errors import PriorityOutOfRange, RunNotWaiting
from irp_training.domain.run import DatasetRow, Run
from sqlalchemy import MetaData
from training_builders import a_ref

PROJECT = Project(id="demo", revision=1, configuration=a_ref())


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def a_run(name: str, minute: int, priority: int = 0, *, state: str = "queued", project: str = "demo") -> Run:
    manifest: ObjectRef = a_ref(b"manifest")
    return Run(
        project=project, id=name, model="cine", recipe="{}", actor="a", created_at=f"2026-01-01T00:0{minute}",
        dataset=DatasetRow(digest="d", manifest=manifest, training=1, validation=0, test=0),
        priority=priority, state=state,
    )  # fmt: skip


async def queue(database: Database, *runs: Run) -> SqlStore:
    store = SqlStore(database)
    for run in runs:
        async with store.change() as change:
            await change.add_run(run)
    return store


async def begun(database: Database, count: int) -> list[str]:
    order, stopping = list[str](), asyncio.Event()

    async def work(job: Job) -> None:
        order.append(job.payload["run"])
        if len(order) == count:
            stopping.set()

    await asyncio.wait_for(JobRunner(RUN_JOB, work, database, run_order()).run(stopping), 20)
    return order


async def test_the_highest_priority_begins_first_and_then_the_oldest(either_database: Database) -> None:
    runs = [a_run("old", 1), a_run("low", 2, -5), a_run("new", 3), a_run("first", 4, 10, project="other")]
    store = await queue(either_database, *runs)
    assert [await store.ahead(run) for run in runs] == [1, 3, 2, 0]
    assert await begun(either_database, 4) == ["first", "old", "new", "low"]


async def test_a_waiting_run_moves_and_one_that_works_stays(database: Database) -> None:
    works = a_run("works", 1, state="running")
    store = await queue(database, works, a_run("old", 2), a_run("new", 3))
    prioritise = PrioritiseRun(store)
    moved = await prioritise(PROJECT, "new", 1)
    assert await store.ahead(moved) == 1  # the one that works
    assert await store.ahead(await store.run("demo", "old")) == 2
    assert await store.ahead(works) == 0
    assert (await prioritise(PROJECT, "new", 1)).priority == 1
    with pytest.raises(RunNotWaiting):
        await prioritise(PROJECT, "works", 100)
    with pytest.raises(PriorityOutOfRange):
        await prioritise(PROJECT, "old", 101)
    assert (await begun(database, 3))[0] == "new"


@pytest.mark.parametrize(("priority", "told"), [(1, PermissionDenied), (0, RunNotWaiting)])
async def test_only_owners_let_a_run_go_before_others(database: Database, priority: int, told: type[Exception]) -> None:
    store = await queue(database, a_run("works", 1, -1, state="running"))
    verbs: Any = SimpleNamespace(prioritise_run=PrioritiseRun(store))
    asked = pb.PrioritiseRunRequest(project=project_to_proto(PROJECT), run_id="works", priority=priority)
    act_as(Caller(subject="a", project="demo", roles=frozenset({"annotator"})))
    with pytest.raises(told):
        await TrainingServicer(store, verbs).PrioritiseRun(asked, None)


def test_runs_of_the_release_before_are_read_with_the_priority_that_they_had() -> None:
    document = to_document(a_run("r", 1))
    for key in ("priority", "spent_s", "price_per_hour", "currency"):
        del document[key]
    read = run_from_document(document)
    assert (read.priority, read.spent_s, read.price.of(3600)) == (0, 0.0, 0.0)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
async def test_runs_are_read_page_by_page_oldest_first(either_database: Database, size: int) -> None:
    runs = [a_run("d", 1), a_run("a", 2), a_run("c", 2, state="succeeded"), a_run("b", 3)]
    store = await queue(either_database, *reversed(runs), a_run("e", 0, project="other"))
    servicer = TrainingServicer(store, SimpleNamespace())  # type: ignore[arg-type]
    act_as(Caller(subject="reader", project="demo", roles=frozenset({"annotator"})))
    found, after = list[pb.Run](), ""
    while True:
        asked = pb.ListRunsRequest(project=project_to_proto(PROJECT), after=after, limit=size)
        page = await servicer.ListRuns(asked, None)
        found += page.runs
        assert len(page.runs) <= size
        if not (after := page.next):
            break
    assert [(run.id, run.ahead) for run in found] == [("d", 1), ("a", 2), ("c", 0), ("b", 3)]
    with pytest.raises(InvalidArgument):
        await servicer.ListRuns(pb.ListRunsRequest(project=project_to_proto(PROJECT), after="nowhere"), None)
