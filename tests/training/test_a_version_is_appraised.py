"""What you learn here: a pushed version gets a report, made by a job that may be killed, beside the champion."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from engines import BOUNDS
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel.errors import Unavailable
from irp_training.adapters.change import APPRAISAL_JOB
from irp_training.adapters.db import METADATA
from irp_training.adapters.store import SqlStore
from irp_training.adapters.wire import report_to_proto
from irp_training.adapters.worker import ProcessWorker
from irp_training.app.appraise_model import AppraiseModel
from irp_training.app.approvals import Approvals
from irp_training.app.ask_report import AskReport
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.frozen_set import FrozenSet
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.ports import Project
from irp_training.app.promote_model import PromoteModel
from irp_training.app.register_model import RegisterModel
from irp_training.app.try_bundle import TryBundle
from irp_training.app.work_ports import CaseFiles
from irp_training.domain.errors import InspectionTooLong, ModelReportUnknown, NetworkMisbehaves, NoFrozenSet
from irp_training.domain.learning.plan import Said
from irp_training.domain.pushing.appraisal import UNMEASURED, Appraisal
from irp_training.domain.pushing.inspected import Inspected
from irp_training.domain.pushing.inspection import Check
from irp_training.domain.registry.registry import Promotion
from irp_training.domain.run import ModelRef, Run
from irp_training.domain.validations.plan import ValidationPlan
from precision_builders import a_threshold, held_out
from sqlalchemy import MetaData, select
from torch import Tensor, nn
from training_builders import as_stream

from tests.bundle.exported import exported_bundle, onnx_of, script_of

ABOUT = {"structures": ["lv_blood_pool"], "licence": "CC0-1.0", "dataset_digest": "", "figures": {}}
FINE = Inspected(checks=(Check(name="archive", state="passed", says="fine"),), report={"about": ABOUT})


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class SandboxAndWorker:
    """Say what they are told to say, or raise it; the last answer again and again."""

    def __init__(self) -> None:
        self.says, self.looks = FINE, 0
        self.cases: list[int] = []  # of the calls that follow; 2 where nothing is said
        self.dice: list[list[Mapping[str, float]] | Exception] = [[{"lv_blood_pool": 0.9}, {"lv_blood_pool": 0.8}]]

    async def __call__(self, data: bytes) -> Inspected:
        self.looks += 1
        return self.says

    async def appraise(
        self, bundle: bytes, files: CaseFiles, listen: Callable[[int], Awaitable[None]]
    ) -> list[Mapping[str, float]]:
        count = self.cases.pop(0) if self.cases else 2
        assert [part async for _, part, _, _ in files()] == ["validation"] * count
        await listen(1)
        answer = self.dice.pop(0) if len(self.dice) > 1 else self.dice[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    """A training room without its doors, and a project with two patients in `validation`."""

    def __init__(self, database: Database) -> None:
        self.database, self.store, self.objects, self.sandbox = (
            database,
            SqlStore(database),
            InMemoryObjects(),
            SandboxAndWorker(),
        )
        configurations = Configurations(self.objects)
        approvals = Approvals(self.store, configurations, 0)
        frozen_set = FrozenSet(self.store, CreateDataset(self.store, self.objects, configurations))
        self.register = RegisterModel(self.store, self.objects, approvals, self.now, self.sandbox, frozen_set)
        self.ask = AskReport(self.store, frozen_set, self.now)
        self.appraise = AppraiseModel(self.store, self.objects, self.sandbox, self.sandbox, self.now)

    @staticmethod
    def now() -> str:
        return "2026-01-01T00:00:00Z"

    async def a_project(self, part: str = "validation") -> Project:
        cases = []
        for case, _, volume, mask in held_out():
            cases.append(replace(case, volume=await self.put(volume), mask=await self.put(mask)))
        patients = [case.patient for case in cases]
        document = {"name": "demo", "splits": {part: patients}}
        async with self.store.change() as change:
            for case in cases:
                await change.remember_case("demo", case)
        return Project(id="demo", revision=1, configuration=await self.put(json.dumps(document).encode()))

    async def put(self, data: bytes) -> Any:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="application/json", extension="bin"
        )

    async def push(self, project: Project | None = None) -> Appraisal:
        model = await self.register("pool", a_threshold(), "somebody", promote_if_first=True, project=project)
        return await self.store.appraisal("pool", model.ref.version)

    async def work(self, version: int = 1, **how: Any) -> Appraisal:
        await self.appraise("pool", version, **how)
        return await self.store.appraisal("pool", version)

    async def jobs(self) -> list[str]:
        table = METADATA.tables["job"]
        async with self.database.read() as connection:
            return list((await connection.execute(select(table.c.key).where(table.c.kind == APPRAISAL_JOB))).scalars())


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_a_pushed_version_is_judged_on_the_patients_of_a_project(world: World) -> None:
    queued = await world.push(await world.a_project())
    assert (queued.state, json.loads(queued.inspection)["passed"]) == ("queued", True)
    report = await world.work()
    assert (report.state, report.finished_at) == ("ended", world.now())
    found = json.loads(report.benchmark)
    (row,) = found["structures"]
    assert (row["cases"], row["dice"], row["least"], row["champion"]) == (2, 0.85, 0.8, None)
    assert (found["patients"], found["champion"]) == (2, "")
    assert found["learnt_from_them"].startswith("not known")
    assert await world.work() == report  # the job comes twice
    assert await world.push() == report  # the same bytes are the same version
    assert await world.jobs() == ["pool@1/1"]
    assert report_to_proto(report).benchmark == report.benchmark


async def test_without_a_frozen_set_the_report_says_so_until_a_project_is_named(world: World) -> None:
    await world.push()
    report = await world.work()
    assert (report.state, report.message, report.benchmark) == ("ended", UNMEASURED, "")
    again = await world.ask("pool", 1, "somebody", await world.a_project())
    assert (again.state, again.attempt, again.inspection) == ("queued", 2, report.inspection)
    assert (await world.work()).benchmark


async def test_it_stands_beside_the_champion_case_by_case(world: World) -> None:
    await world.push(project := await world.a_project())
    other = await world.objects.put(
        b"other", project="registry", entity="model", id="pool", kind="b", media_type="application/zip", extension="zip"
    )
    first = await world.store.model("pool", 1)
    async with world.store.change() as change:
        second = await change.add_model(replace(first, ref=replace(first.ref, digest=other.sha256), bundle=other))
    await world.ask("pool", second.ref.version, "somebody", project)
    world.sandbox.dice = [[{"lv_blood_pool": 0.9}, {"lv_blood_pool": 0.8}], [{"lv_blood_pool": 0.7}, {}]]
    looks = world.sandbox.looks
    report = await world.work(second.ref.version)
    assert world.sandbox.looks == looks + 1  # nobody had looked through it
    found = json.loads(report.benchmark)
    (row,) = found["structures"]
    assert (found["champion"], row["champion"], row["difference"]) == ("pool@1", 0.7, 0.2)


async def test_what_the_champion_has_learnt_from_is_not_compared(world: World) -> None:
    report = await world.push(await world.a_project())
    first, dataset = await world.store.model("pool", 1), report.dataset
    assert dataset is not None
    manifest = await world.objects.get(dataset.manifest)
    taught = await world.put(manifest.replace(b'"split":"validation"', b'"split":"training"', 1))
    run = Run(
        project="demo", id="run-1", model="pool", recipe="{}", dataset=replace(dataset, digest="e", manifest=taught),
        actor="a", created_at="2026",
    )  # fmt: skip
    async with world.store.change() as change:
        await change.add_run(run)
        ref = replace(first.ref, digest="f" * 64)
        second = await change.add_model(replace(first, ref=ref, run=("demo", "run-1")))
        await change.add_promotion(second, Promotion(2, 2, "promote", "a", world.now(), ""))
    world.sandbox.cases = [2, 1]
    world.sandbox.dice = [[{"lv_blood_pool": 0.9}, {"lv_blood_pool": 0.8}], [{"lv_blood_pool": 0.7}]]
    found = json.loads((await world.work()).benchmark)
    (row,) = found["structures"]
    assert (found["champion"], found["cases"], row["dice"], found["left_out"]) == ("pool@2", 2, 0.85, 1)
    assert (row["champion"], row["difference"]) == (0.7, 0.1)  # of the second case


async def test_a_part_that_is_down_is_waited_for_and_a_failure_is_asked_for_anew(world: World) -> None:
    await world.push(project := await world.a_project())
    world.sandbox.dice = [Unavailable(), InspectionTooLong(), [{"lv_blood_pool": 0.5}, {}]]
    with pytest.raises(Unavailable):
        await world.work()
    assert (await world.store.appraisal("pool", 1)).state == "running"
    failed = await world.work()
    assert (failed.state, failed.reason, bool(failed.inspection)) == ("failed", "INSPECTION_TOO_LONG", True)
    assert (await world.ask("pool", 1, "somebody", project)).attempt == 2
    assert json.loads((await world.work()).benchmark)["structures"][0]["cases"] == 1
    assert await world.jobs() == ["pool@1/1", "pool@1/2"]


async def test_what_is_refused_leaves_nothing_behind(world: World) -> None:
    world.sandbox.says = Inspected(checks=FINE.checks, problem=NetworkMisbehaves("it answers nothing"))
    with pytest.raises(NetworkMisbehaves):
        await world.push()
    assert await world.store.models() == []
    said = json.loads(await TryBundle(world.sandbox)(b"bundle"))
    assert [(check["name"], check["state"]) for check in said["checks"]] == [
        ("archive", "passed"),
        ("NETWORK_MISBEHAVES", "failed"),
    ]
    with pytest.raises(NoFrozenSet):
        await world.push(await world.a_project("training"))
    with pytest.raises(ModelReportUnknown):
        await world.store.appraisal("pool", 1)


def bright(halfway: float) -> nn.Module:
    """So many standard deviations and more are blood pool."""
    network = nn.Conv2d(1, 3, 3, padding=1)
    spot = torch.zeros(3, 1, 3, 3)
    spot[:2, 0, 1, 1] = Tensor([-1.0, 1.0])
    network.load_state_dict({"weight": spot, "bias": Tensor([halfway, -halfway, -9.0])})
    return network.eval()


async def test_what_only_runs_passes_the_gate_on_the_patients_of_its_report(
    world: World,
) -> None:
    project = await world.a_project()
    script = exported_bundle({"models/model.ts": script_of(bright(2.0))})
    onnx = exported_bundle({"models/model.onnx": onnx_of(bright(1.9))})
    for data in (script, onnx):
        await world.register("pool", data, "somebody", promote_if_first=True, project=project)
    judge = JudgeCandidate(world.store, world.objects, ProcessWorker("cpu", BOUNDS))
    promote = PromoteModel(world.store, judge, Approvals(world.store, Configurations(world.objects), 0), world.now)
    verdict, state = await promote("pool", 2, "somebody")
    (compared,) = verdict.comparisons
    assert (state, compared.structure, compared.cases, verdict.dataset != "") == ("promoted", "lv_blood_pool", 2, True)
    assert compared.candidate > 0.8
    assert compared.champion > 0.8
    assert [check.name for check in verdict.checks] == ["latency"]  # nobody judged a slice whole


async def test_what_only_runs_is_validated_and_enters_challenges_as_any_other_model() -> None:
    worker, steps = ProcessWorker("cpu", BOUNDS), list[str]()
    data = exported_bundle({"models/model.ts": script_of(bright(2.0))})

    async def listen(said: Said) -> bool:
        steps.append(said.progress.step)
        return True

    plan = ValidationPlan(
        bundle=data,
        model=ModelRef(name="pool", version=1, digest="d" * 64),
        dataset="e" * 64,
        project="demo",
        split="validation",
        cases=2,
        known=False,
        created_at="2026-01-01T00:00:00Z",
    )
    outcome = await worker.validate(plan, as_stream(held_out()), listen)
    assert json.loads(outcome.summary)["dice"]["lv_blood_pool"]["mean"] > 0.8
    assert {"report.json", "report.html", "report.pdf"} <= set(outcome.files)
    assert steps[-1] == "writing the report"
    scores = await worker.score_entry(data, as_stream(held_out()), ("lv_blood_pool",), ("dice", "hd95"))
    assert all(case.values["dice"]["lv_blood_pool"] > 0.8 for case in scores)
