"""What you learn here: a reduced precision is tried once per dataset, by a job that may be killed."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

import pytest
from engines import BOUNDS
from irp.training.v1.events_pb2 import PrecisionGuarded
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_training.adapters.change import PRECISION_JOB
from irp_training.adapters.db import METADATA
from irp_training.adapters.exchange import WorkerDied
from irp_training.adapters.store import SqlStore
from irp_training.adapters.wire import trial_to_proto
from irp_training.adapters.worker import ProcessWorker
from irp_training.app.approvals import Approvals
from irp_training.app.ask_precision import AskPrecision
from irp_training.app.attempts import TURNS
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.finish_run import FinishRun
from irp_training.app.guard_precision import GuardPrecision
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.ports import Project
from irp_training.app.register_model import RegisterModel
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.datasets.dataset import Entry, Snapshot
from irp_training.domain.errors import NoFrozenSet, NotQuantisable, PrecisionUnknown, TrialUnknown
from irp_training.domain.judging.precision import Trial
from irp_training.domain.learning.plan import Outcome, Said
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.reducing.trial import TrialOutcome, TrialPlan
from irp_training.domain.run import DatasetRow, Progress, Run
from precision_builders import a_threshold, held_out
from sqlalchemy import MetaData, select
from training_builders import a_ref

ACCEPTED = TrialOutcome(accepted=True, message="fine", report='{"margin": 0.002}', speedup=1.4, artefact=b"networks")
REFUSED = TrialOutcome(accepted=False, message="loses", report="{}", speedup=0.0)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Worker:
    """Says what it is told to say, or raises it."""

    def __init__(self) -> None:
        self.answers: list[TrialOutcome | Exception] = []
        self.plans: list[TrialPlan] = []

    async def guard(self, plan: TrialPlan, files: CaseFiles, listen: Listener) -> TrialOutcome:
        self.plans.append(plan)
        assert [part async for _, part, _, _ in files()] == ["validation", "validation"]
        await listen(Said(progress=Progress(fraction=0.5, step="judging")))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    """A training room without its doors: a registered model, a project with two patients in `validation`."""

    def __init__(self, database: Database) -> None:
        self.database, self.store, self.objects, self.worker = database, SqlStore(database), InMemoryObjects(), Worker()
        create = CreateDataset(self.store, self.objects, Configurations(self.objects))
        self.ask_precision = AskPrecision(self.store, create, self.now)
        self.guard: Any = GuardPrecision(self.store, self.objects, self.worker, self.now, 1)  # type: ignore[arg-type]

    @staticmethod
    def now() -> str:
        return "2026-01-01T00:00:00Z"

    async def begin(self) -> None:
        approvals = Approvals(self.store, Configurations(self.objects), 0)
        await RegisterModel(self.store, self.objects, approvals, self.now)("pool", a_threshold(), "somebody")
        self.project = await self.a_project("demo")
        self.dataset = await self.frozen()

    async def a_project(self, name: str) -> Project:
        """Its masks accepted, every patient of them in `validation`."""
        cases = [(await self.kept(name, case, volume, mask)) for case, _, volume, mask in held_out()]
        patients = ", ".join(f'"{case.patient}"' for case in cases)
        document = f'{{"name": "{name}", "splits": {{"validation": [{patients}]}}}}'.encode()
        project = Project(id=name, revision=1, configuration=await self.put(name, document))
        async with self.store.change() as change:
            for case in cases:
                await change.remember_case(name, case)
        return project

    async def kept(self, name: str, case: Any, volume: bytes, mask: bytes) -> Any:
        return replace(case, volume=await self.put(name, volume), mask=await self.put(name, mask))

    async def put(self, project: str, data: bytes) -> Any:
        return await self.objects.put(
            data, project=project, entity="e", id="i", kind="k", media_type="application/json", extension="bin"
        )

    async def frozen(self) -> DatasetRow:
        cases = await self.store.cases("demo")
        snapshot = Snapshot("demo", tuple(Entry("validation", case) for case in cases))
        manifest = await self.put("demo", snapshot.manifest())
        return DatasetRow(digest=snapshot.digest, manifest=manifest, training=0, validation=2, test=0)

    async def ask(self, precision: str = "int8", project: Project | None = None) -> Trial:
        return await self.ask_precision("pool", 1, precision, "somebody", project or self.project)

    async def work(self, **how: Any) -> Trial:
        await self.guard("pool", 1, "int8", **how)
        return await self.store.trial("pool", 1, "int8")

    async def jobs(self) -> list[str]:
        table = METADATA.tables["job"]
        async with self.database.read() as connection:
            return list((await connection.execute(select(table.c.key).where(table.c.kind == PRECISION_JOB))).scalars())

    async def facts(self) -> list[PrecisionGuarded]:
        table = METADATA.tables["outbox"]
        async with self.database.read() as connection:
            rows = (await connection.execute(select(table).where(table.c.subject.contains("precision")))).all()
        return [PrecisionGuarded.FromString(row.data) for row in rows]


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.begin()
    return world


async def test_what_is_accepted_is_kept_announced_once_and_not_tried_again(world: World) -> None:
    world.worker.answers = [ACCEPTED]
    assert (await world.ask()).state == "queued"
    assert (await world.ask()).attempt == 1
    trial = await world.work()
    assert (trial.state, trial.speedup, trial.finished_at) == ("accepted", 1.4, world.now())
    assert trial.artefact is not None
    assert await world.objects.get(trial.artefact) == b"networks"
    assert trial.artefact in await world.store.references()
    assert await world.work() == trial  # the job comes twice: nothing is left to do
    assert await world.ask() == trial
    assert await world.jobs() == ["pool@1/int8/1"]
    (fact,) = await world.facts()
    assert (fact.name, fact.precision, fact.accepted, fact.engine) == ("pool", "int8", True, "openvino")
    assert fact.artefact.sha256 == trial.artefact.sha256
    assert trial_to_proto(trial).report == ACCEPTED.report


async def test_what_is_refused_has_no_networks_and_says_so_to_everybody(world: World) -> None:
    world.worker.answers = [REFUSED]
    await world.ask()
    trial = await world.work()
    assert (trial.state, trial.artefact) == ("refused", None)
    assert [(fact.accepted, fact.HasField("artefact")) for fact in await world.facts()] == [(False, False)]


async def test_a_part_that_is_down_is_waited_for_and_a_failure_can_be_tried_anew(world: World) -> None:
    world.worker.answers = [WorkerDied(), NotQuantisable(), WorkerDied(), ACCEPTED]
    await world.ask()
    with pytest.raises(WorkerDied):
        await world.work()
    failed = await world.work()
    assert (failed.state, failed.reason) == ("failed", "NOT_QUANTISABLE")
    assert (await world.ask()).attempt == 2
    assert (await world.work(turn=TURNS)).reason == "WORKER_DIED"
    await world.ask()
    assert (await world.work()).state == "accepted"
    assert await world.jobs() == [f"pool@1/int8/{attempt}" for attempt in (1, 2, 3)]
    facts = await world.facts()
    assert [fact.accepted for fact in facts] == [False, False, True]
    versions = [fact.aggregate.version for fact in facts]
    assert versions == sorted(set(versions))


async def test_another_dataset_judges_anew(world: World) -> None:
    world.worker.answers = [REFUSED]
    await world.ask()
    await world.work()
    again = await world.ask(project=await world.a_project("other"))
    assert (again.state, again.attempt) == ("queued", 2)


async def test_what_cannot_be_judged_is_refused_at_the_door(world: World) -> None:
    with pytest.raises(PrecisionUnknown):
        await world.ask("float32")
    with pytest.raises(NoFrozenSet):
        await world.ask_precision("pool", 1, "int8", "somebody", None)
    with pytest.raises(TrialUnknown):
        await world.store.trial("pool", 1, "bfloat16")


async def test_a_run_whose_recipe_says_so_has_its_model_tried(world: World) -> None:
    run = Run(
        project="demo",
        id="run-1",
        model="learnt",
        recipe=Recipe(precisions=("int8", "bfloat16")).to_json(),
        dataset=world.dataset,
        actor="somebody",
        created_at=world.now(),
    )
    async with world.store.change() as change:
        await change.add_run(run)
    outcome = Outcome(bundle=a_threshold(), structures=("lv_blood_pool",), licence="CC0-1.0", figures={}, cases=[])
    judge = JudgeCandidate(world.store, world.objects, world.worker)  # type: ignore[arg-type]
    approvals = Approvals(world.store, Configurations(world.objects), 0)
    finish = FinishRun(world.store, world.objects, judge, approvals, world.now)
    await finish.succeeded(run, Project(id="demo", revision=1, configuration=a_ref()), outcome)
    trials = await world.store.trials("learnt")
    assert {trial.precision for trial in trials} == {"int8", "bfloat16"}
    assert {trial.dataset.digest for trial in trials} == {world.dataset.digest}
    # The set of the version's own run judges it, whoever asks again.
    assert await world.ask_precision("learnt", 1, "int8", "somebody", None) in trials


async def test_a_worker_killed_half_way_is_begun_again_and_comes_to_the_same_verdict(world: World) -> None:
    worker, steps = ProcessWorker("cpu", BOUNDS), list[str]()

    class Killing:
        async def guard(self, plan: TrialPlan, files: CaseFiles, listen: Listener) -> TrialOutcome:
            async def and_kill(said: Said) -> bool:
                steps.append(said.progress.step)
                if len(steps) == 1:
                    for process in worker._processes:
                        os.kill(process.pid or 0, signal.SIGKILL)
                return await listen(said)

            return await worker.guard(plan, files, and_kill)

    world.guard = GuardPrecision(world.store, world.objects, Killing(), world.now, 1)  # type: ignore[arg-type]
    await world.ask()
    with pytest.raises(WorkerDied):
        await world.work()
    assert (await world.store.trial("pool", 1, "int8")).state == "running"
    trial = await world.work()
    assert trial.state == "accepted"
    assert steps[:2] == ["judging in float32"] * 2
    assert len(await world.facts()) == 1
