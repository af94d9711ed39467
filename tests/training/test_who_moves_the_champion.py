"""What you learn here: a version becomes the champion only with the leave of those whom the champion answers."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_chassis.wire import object_ref_to_proto
from irp_training.adapters.db import METADATA
from irp_training.adapters.events import Events
from irp_training.adapters.rpc import TrainingServicer
from irp_training.adapters.store import SqlStore
from irp_training.app.approvals import Approvals
from irp_training.app.configuration import Configurations
from irp_training.app.decide_promotion import DecidePromotion
from irp_training.app.finish_run import FinishRun
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.ports import Project
from irp_training.app.promote_model import PromoteModel, crown
from irp_training.app.remember_project import RememberProject
from irp_training.app.start_automatic_run import StartAutomaticRun
from irp_training.app.start_run import Wish
from irp_training.app.work_ports import CaseFiles
from irp_training.domain.datasets.dataset import Entry, Snapshot
from irp_training.domain.errors import SecondPersonNeeded
from irp_training.domain.learning.plan import Outcome
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.registry.examined import Examined
from irp_training.domain.registry.registry import Model, champion
from irp_training.domain.run import DatasetRow, ModelRef, Run
from sqlalchemy import MetaData
from training_builders import a_case

POOL = "lv_blood_pool"
LOOSE = Recipe(margin=1.0, gate="mean", subgroup_margin=0.0, calibration_margin=0.0, latency_ratio=0.0)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def now() -> str:
    return "2026-01-01T00:00:00.000+00:00"


class Worker:
    """Has measured already: the bundle's bytes say how good it is on what somebody judged."""

    async def examine(self, bundles: list[bytes], files: CaseFiles, listen: Any) -> tuple[Examined, ...]:
        judged = [case.series async for case, *_ in files()]
        return tuple(Examined(scores={series: {POOL: float(data)} for series in judged}) for data in bundles)


class World:
    """A registry in which "cine" came with the house, and whatever project teaches it further."""

    def __init__(self, database: Database) -> None:
        self.objects, self.store = InMemoryObjects(), SqlStore(database)
        self.configurations = Configurations(self.objects)
        self.approvals = approvals = Approvals(self.store, self.configurations, 0)
        judge = JudgeCandidate(self.store, self.objects, Worker())  # type: ignore[arg-type]
        self.finish = FinishRun(self.store, self.objects, judge, approvals, now)
        self.promote = PromoteModel(self.store, judge, approvals, now)
        self.decide = DecidePromotion(self.store, now)

    async def put(self, data: bytes) -> Any:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="application/json", extension="bin"
        )

    async def shipped(self) -> None:
        model = await self.pushed(0.9, "cine", "openirp")
        async with self.store.change() as change:
            await crown(change, model, "openirp", now(), "")

    async def pushed(self, dice: float, name: str, actor: str) -> Model:
        """A version that no run made."""
        bundle = await self.put(str(dice).encode())
        model = Model(
            ref=ModelRef(name=name, version=0, digest=bundle.sha256),
            bundle=bundle,
            created_at=now(),
            actor=actor,
            licence="CC0-1.0",
            figures="{}",
            structures=(POOL,),
        )
        async with self.store.change() as change:
            return await change.add_model(model)

    async def configured(self, project: str = "demo", **document: Any) -> None:
        configuration = await self.put(json.dumps(document).encode())
        async with self.store.change() as change:
            await change.remember_project(Project(id=project, revision=1, configuration=configuration))

    async def learnt(
        self, dice: float, project: str = "demo", *, model: str = "cine", judged: bool = True, **more: Any
    ) -> Run:
        """A run of a project that has ended with a version as good as that."""
        files = {"volume": await self.put(b"a volume"), "mask": await self.put(b"a mask")}
        case = replace(a_case(0), judged={POOL: 1}, **files)
        snapshot = Snapshot(project, (Entry("validation" if judged else "test", case),))
        dataset = DatasetRow(
            digest=snapshot.digest, manifest=await self.put(snapshot.manifest()), training=1, validation=1, test=0
        )
        run = Run(
            project=project,
            id=f"run-{dice}",
            model=model,
            recipe=Recipe().to_json(),
            dataset=dataset,
            actor="ada",
            created_at=now(),
            promote=True,
        )
        run = replace(run, **more)
        seen = await self.store.placements(project)
        async with self.store.change() as change:
            await change.remember_case(project, case)
            await change.settle(project, dataset.digest, snapshot.placements(), seen)
            await change.add_run(run)
        outcome = Outcome(
            bundle=str(dice).encode(), structures=(POOL,), licence="CC0-1.0", figures={}, cases=[], remarks=()
        )
        where = Project(id=project, revision=1, configuration=dataset.manifest)
        return await self.finish.succeeded(run, where, outcome)

    async def champion(self, name: str = "cine") -> int | None:
        return champion(await self.store.history(name))


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.shipped()
    return world


async def test_a_champion_that_is_not_the_projects_own_is_moved_by_an_administrator_once(world: World) -> None:
    first = await world.learnt(0.95)
    assert (first.promoted, await world.champion()) == (False, 1)
    assert "waits for an administrator: cine@1 was not made by a run of this project" in first.message
    assert "cine@1 was not made by a run of this project" in json.loads(first.gate)["warnings"][-1]
    await world.decide("cine", 2, approve=True, actor="grace")
    assert (await world.learnt(0.96)).promoted  # from now on the champion is the project's own
    other = await world.learnt(0.97, "elsewhere")
    assert (other.promoted, await world.champion()) == (False, 3)


async def test_what_an_administrator_began_is_promoted_by_itself(world: World) -> None:
    assert (await world.learnt(0.95, by_admin=True)).promoted
    assert await world.champion() == 2


async def test_a_name_without_a_champion_is_free(world: World) -> None:
    assert (await world.learnt(0.5, model="mine")).promoted


async def test_where_nobody_judged_nothing_is_promoted_until_an_administrator_does(world: World) -> None:
    run = await world.learnt(0.1, judged=False, by_admin=True)
    assert (run.promoted, await world.champion()) == (False, 1)
    assert "waits for an administrator: no validation case judges any structure" in run.message
    assert (await world.promote("cine", 2, "grace"))[1] == "promoted"


async def test_a_recipe_that_was_frozen_with_looser_bounds_does_not_loosen_the_gate(world: World) -> None:
    run = await world.learnt(0.1, by_admin=True, recipe=LOOSE.to_json())
    assert (run.promoted, json.loads(run.gate)["margin"]) == (False, 0.01)
    assert await world.champion() == 1


async def test_an_administrator_is_known_by_the_token_and_by_the_revision(world: World) -> None:
    asked: list[Wish] = []

    async def start(project: Project, wish: Wish) -> Run:
        asked.append(wish)
        return await world.store.run("demo", "run-0.95")

    await world.learnt(0.95)
    doors = TrainingServicer(world.store, SimpleNamespace(start_run=start))  # type: ignore[arg-type]
    configuration = await world.put(json.dumps({"automation": {"train": {"after_masks": 1, "model": "cine"}}}).encode())
    facts: Any = Events(*[None] * 2, RememberProject(world.store), *[None] * 3)  # type: ignore[arg-type]
    begin = StartAutomaticRun(world.store, world.configurations, start)  # type: ignore[arg-type]
    for revision, role in enumerate(("annotator", "admin"), start=1):
        project = types_pb2.ProjectRef(id="demo", revision=revision, configuration=object_ref_to_proto(configuration))
        act_as(Caller(subject="ada", project="demo", roles=frozenset({role})))
        await doors.StartRun(pb.StartRunRequest(project=project, model="cine", promote=True), None)
        await facts.on_project_configured(ProjectConfigured(project=project, by_admin=role == "admin"))
        await begin("demo", "now")
    assert [(wish.actor, wish.by_admin) for wish in asked] == [
        *(("ada", False), ("training", False), ("ada", True), ("training", True))
    ]


async def test_who_pushes_under_a_projects_name_goes_by_the_projects_rule(world: World) -> None:
    await world.configured(approvals=1)
    assert "waits for a second person's approval" in (await world.learnt(0.90, model="mine")).message
    await world.pushed(0.91, "mine", "eve")
    assert (await world.promote("mine", 2, "eve"))[1] == "pending"  # also while the name has no champion
    await world.decide("mine", 1, approve=True, actor="grace")
    await world.pushed(0.92, "mine", "eve")
    assert (await world.promote("mine", 3, "eve"))[1] == "pending"
    await world.decide("mine", 3, approve=True, actor="grace")
    await world.pushed(0.93, "mine", "eve")
    assert (await world.promote("mine", 4, "eve"))[1] == "pending"  # nor once the champion is one that was pushed
    assert await world.champion("mine") == 3


async def test_a_run_of_another_project_goes_by_the_rule_of_the_one_that_it_would_answer(world: World) -> None:
    await world.configured(approvals=1)
    await world.configured("elsewhere", approvals=0)
    await world.learnt(0.90, model="mine")
    await world.decide("mine", 1, approve=True, actor="grace")
    run = await world.learnt(0.95, "elsewhere", model="mine", by_admin=True)
    assert (run.promoted, await world.champion("mine")) == (False, 1)
    assert "waits for a second person's approval" in run.message
    with pytest.raises(SecondPersonNeeded):
        await world.decide("mine", 2, approve=True, actor="ada")  # who started it
    assert (await world.learnt(0.96, "elsewhere", model="theirs")).promoted  # of nobody else's concern


@pytest.mark.parametrize(
    ("automation", "state"),
    [
        ({"segment": {"cine-sax": "cine"}}, "pending"),
        ({"segment": {"cine-sax": "cine@1"}}, "pending"),
        ({"train": {"model": "cine"}}, "pending"),
        ({"segment": {"cine-sax": "cinema"}, "train": {"model": "other", "base": "cine"}}, "promoted"),
    ],
)
async def test_a_project_that_uses_a_name_is_asked_whoever_moves_its_champion(
    world: World, automation: dict[str, Any], state: str
) -> None:
    await world.configured(approvals=1, automation=automation)
    await world.pushed(0.95, "cine", "eve")
    shown = await world.store.models("cine")
    unagreed = await world.approvals.unagreed(shown, await world.store.history("cine"))
    assert unagreed == ({2} if state == "pending" else set())
    assert (await world.promote("cine", 2, "eve"))[1] == state


async def test_nobody_approves_what_he_pushed_himself_whoever_asked_for_it(world: World) -> None:
    await world.configured(approvals=1, automation={"segment": {"cine-sax": "cine"}})
    await world.pushed(0.95, "cine", "eve")
    await world.promote("cine", 2, "bob")
    for actor in ("eve", "bob"):
        with pytest.raises(SecondPersonNeeded):
            await world.decide("cine", 2, approve=True, actor=actor)
    await world.decide("cine", 2, approve=True, actor="grace")
    assert await world.champion() == 2


async def test_a_rule_that_cannot_be_read_is_the_strictest_and_hinders_nobody_else(world: World) -> None:
    await world.learnt(0.90, model="mine")
    broken = Project(id="demo", revision=1, configuration=await world.put(b"not JSON"))
    async with world.store.change() as change:
        await change.remember_project(broken)
    assert await world.approvals.of(await world.pushed(0.91, "mine", "eve")) == 1
    assert await world.approvals.of(await world.pushed(0.91, "cine", "eve")) == 0


async def test_whose_runs_made_a_name_is_known_to_both_databases(either_database: Database) -> None:
    world = World(either_database)
    await world.pushed(0.1, "mine", "eve")
    for number, project in enumerate(("demo", "elsewhere", "demo")):
        await world.learnt(0.5 + number / 10, project, model="mine")
    await world.learnt(0.5, "third", model="other")
    assert await world.store.makers("mine") == {"demo", "elsewhere"}
    assert await world.store.makers("nobody") == set()
