"""What you learn here: whoever makes a candidate does not choose who judges it: all whom the project holds out do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import ObjectRef
from irp_training.adapters.db import METADATA
from irp_training.adapters.store import SqlStore
from irp_training.app.approvals import Approvals
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.finish_run import FinishRun
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.keep_apart import KeepApart
from irp_training.app.ports import Project
from irp_training.app.promote_model import crown
from irp_training.app.snapshots import read_snapshot
from irp_training.app.start_run import StartRun, Wish
from irp_training.app.work_ports import CaseFiles
from irp_training.domain.datasets.case import Case
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.learning.plan import Outcome
from irp_training.domain.registry.examined import Examined
from irp_training.domain.registry.registry import Model, champion, champions
from irp_training.domain.run import ModelRef, Run
from sqlalchemy import MetaData
from training_builders import a_case

POOL = "lv_blood_pool"
CINE, LGE = "cine-sax", "lge-sax"
PLACES = {"training": range(1, 21), "validation": range(21, 41)}
JUDGES = {f"patient-{number}" for number in PLACES["validation"]}


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Examiner:
    """A bundle says how good it is at each site, or on each sequence; who was shown is remembered."""

    def __init__(self) -> None:
        self.shown: set[str] = set()

    async def examine(self, bundles: list[bytes], files: CaseFiles, listen: Any) -> tuple[Examined, ...]:
        cases = [case async for case, *_ in files()]
        self.shown = {case.patient for case in cases}
        return tuple(Examined(scores={case.series: {POOL: _dice(data, case)} for case in cases}) for data in bundles)


def _dice(bundle: bytes, case: Case) -> float:
    dice = json.loads(bundle)
    return float(dice.get(case.site, dice.get(case.sequence_class, 0.5)))


class World:
    """Projects, and the verbs that begin and end a run; patients with even numbers are of site A, the others of B."""

    def __init__(self, database: Database) -> None:
        self.store, self.objects, self.examiner = SqlStore(database), InMemoryObjects(), Examiner()
        configurations = Configurations(self.objects)
        self.create = CreateDataset(self.store, self.objects, configurations)
        self.judge = JudgeCandidate(self.store, self.objects, self.examiner)  # type: ignore[arg-type]
        self.start = StartRun(self.store, self.create, KeepApart(self.store, self.objects), self.now)
        approvals = Approvals(self.store, configurations, 0)
        self.finish = FinishRun(self.store, self.objects, self.judge, approvals, self.now)
        self.ticks = 0

    def now(self) -> str:
        self.ticks += 1
        return f"2026-01-01T00:00:00.{self.ticks:03}+00:00"

    async def put(self, data: bytes) -> ObjectRef:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="a/b", extension="bin"
        )

    async def project(self, name: str = "demo", **configuration: Any) -> Project:
        """Its lists say who teaches and who judges."""
        lists = {part: [f"patient-{n}" for n in numbers] for part, numbers in PLACES.items()}
        document = {"name": name, "splits": lists, **configuration}
        project = Project(id=name, revision=1, configuration=await self.put(json.dumps(document).encode()))
        async with self.store.change() as change:
            await change.remember_project(project)
        return project

    async def accept(self, *numbers: int, sequence: str = CINE, project: str = "demo") -> None:
        """Somebody accepts a mask of each of these patients."""
        for number in numbers:
            told = f"{project} {sequence} {number}".encode()
            files = {"volume": await self.put(b"volume " + told), "mask": await self.put(b"mask " + told)}
            case = replace(a_case(number), series=f"1.{sequence}.{number}", sequence_class=sequence, **files)
            case = replace(case, site="AB"[number % 2], judged={POOL: 1})
            async with self.store.change() as change:
                await change.remember_case(project, case)

    async def learnt(self, project: Project, dice: Mapping[str, float], **wish: Any) -> Run:
        """A run that has ended with a bundle as good as that."""
        request_id = json.dumps([project.id, dice, str(wish)])
        run = await self.start(
            project, Wish(model="net", actor="annotator", promote=True, request_id=request_id, **wish)
        )
        bundle = json.dumps(dice).encode()
        outcome = Outcome(bundle=bundle, structures=(POOL,), licence="CC0-1.0", figures={}, cases=[])
        return await self.finish.succeeded(run, project, outcome)

    async def pushed(self, dice: Mapping[str, float]) -> Model:
        bundle = await self.put(json.dumps(dice).encode())
        model = Model(
            ref=ModelRef(name="net", version=0, digest=bundle.sha256),
            bundle=bundle,
            created_at=self.now(),
            actor="somebody",
            licence="",
            figures="{}",
            structures=(POOL,),
        )
        async with self.store.change() as change:
            return await change.add_model(model)

    async def crown(self, model: Model) -> None:
        async with self.store.change() as change:
            await crown(change, model, "an administrator", self.now(), "")

    async def judged_on(self, digest: str, project: str = "demo") -> Snapshot:
        row = await self.store.dataset_of(project, digest)
        return await read_snapshot(self.objects, row.manifest)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_a_candidate_that_learnt_from_one_site_is_judged_at_every_site(world: World) -> None:
    project = await world.project()
    await world.accept(*range(1, 41))
    assert (await world.learnt(project, {"A": 0.9, "B": 0.9})).promoted
    chosen = await world.learnt(project, {"A": 0.95, "B": 0.1}, rules=Rules(sites=("A",)))
    assert (chosen.promoted, champion(await world.store.history("net"))) == (False, 1)
    assert f"worse on {POOL} at site B" in chosen.message
    assert world.examiner.shown == JUDGES
    better = await world.learnt(project, {"A": 0.95, "B": 0.95}, rules=Rules(sites=("A",)))
    assert better.promoted


async def test_the_verdict_names_the_dataset_that_judged_and_an_older_one_does_not_choose_it(world: World) -> None:
    project = await world.project()
    await world.accept(*range(1, 21), *range(21, 31, 2))
    older = await world.create(project)
    await world.accept(*range(22, 31, 2))
    assert (await world.learnt(project, {"A": 0.9, "B": 0.9})).promoted
    chosen = await world.learnt(project, {"A": 0.1, "B": 0.95}, dataset_digest=older.digest)
    assert (chosen.dataset.digest, chosen.promoted) == (older.digest, False)
    digest = json.loads(chosen.gate)["dataset"]
    snapshot = await world.judged_on(digest)
    assert snapshot.patients("validation") == {f"patient-{number}" for number in range(21, 31)} == world.examiner.shown
    assert (snapshot.count("training"), snapshot.rules) == (0, Rules(sequence_classes=(CINE,)))
    assert (await world.store.dataset_of("demo", digest)).actor == "gate"
    (stood,) = [one for one in await world.store.candidacies("net") if one.model == chosen.result]
    assert stood.dataset == digest


async def test_who_has_no_place_yet_does_not_judge_and_gets_none_by_being_judged_on(world: World) -> None:
    project = await world.project()
    await world.accept(*range(1, 31))
    await world.learnt(project, {"A": 0.9, "B": 0.9})
    run = await world.start(project, Wish(model="net", promote=True))
    await world.accept(31, 50)  # while it learns: 31 stands on a list, 50 on none
    outcome = Outcome(bundle=b'{"A": 0.95, "B": 0.95}', structures=(POOL,), licence="CC0-1.0", figures={}, cases=[])
    assert (await world.finish.succeeded(run, project, outcome)).promoted
    assert world.examiner.shown == {f"patient-{number}" for number in range(21, 31)}
    assert not {"patient-31", "patient-50"} & set(await world.store.placements("demo"))
    await world.accept(21, sequence="cine-lax")  # of somebody who judges already: no champion has learnt the like
    verdict, _ = await world.judge(await world.pushed({"A": 0.96, "B": 0.96}))
    assert {case.sequence_class for case in (await world.judged_on(verdict.dataset)).of("validation")} == {CINE}


async def test_a_model_for_cine_is_not_judged_on_lge(world: World) -> None:
    project = await world.project()
    await world.accept(*range(1, 31))
    cine = Rules(sequence_classes=(CINE,))
    await world.learnt(project, {CINE: 0.9, LGE: 0.9}, rules=cine)
    await world.accept(*range(11, 41), sequence=LGE)
    await world.create(project)  # everybody has a place
    better = await world.learnt(project, {CINE: 0.95, LGE: 0.5})  # it has learnt from both, but its champion has not
    assert (better.promoted, world.examiner.shown) == (True, {f"patient-{number}" for number in range(21, 31)})
    worse = await world.learnt(project, {CINE: 0.96, LGE: 0.1})
    assert (worse.promoted, world.examiner.shown) == (False, JUDGES)  # from now on it is for both


async def test_a_name_stays_for_every_sequence_that_its_champions_have_learnt(world: World) -> None:
    project = await world.project()
    await world.accept(*range(1, 31))
    await world.accept(*range(1, 31), sequence=LGE)
    cine = Rules(sequence_classes=(CINE,))
    await world.learnt(project, {CINE: 0.9, LGE: 0.9})
    assert not (await world.learnt(project, {CINE: 0.95, LGE: 0.1}, rules=cine)).promoted
    assert (await world.learnt(project, {CINE: 0.95, LGE: 0.95}, rules=cine)).promoted
    assert not (await world.learnt(project, {CINE: 0.96, LGE: 0.2}, rules=cine)).promoted  # nor in two steps
    assert champions(await world.store.history("net")) == (3, 1)


@pytest.mark.parametrize(("segment", "judging"), [({CINE: "net"}, {CINE}), ({LGE: "net@1"}, {LGE}), ({}, {CINE, LGE})])
async def test_a_pushed_champion_is_for_what_it_proposes_in_the_project(
    world: World, segment: dict[str, str], judging: set[str]
) -> None:
    project = await world.project(automation={"segment": segment})
    await world.accept(*range(1, 31))
    await world.accept(*range(1, 31), sequence=LGE)
    await world.crown(await world.pushed({CINE: 0.9, LGE: 0.9}))
    run = await world.learnt(project, {CINE: 0.95, LGE: 0.95})
    snapshot = await world.judged_on(json.loads(run.gate)["dataset"])
    assert {case.sequence_class for case in snapshot.of("validation")} == judging


async def test_where_nothing_is_known_of_the_champion_the_sequences_of_the_candidate_judge(world: World) -> None:
    project = await world.project()
    await world.accept(*range(1, 31))
    await world.accept(*range(1, 31), sequence=LGE)
    await world.create(project)
    await world.crown(await world.pushed({CINE: 0.9, LGE: 0.9}))
    run = await world.learnt(project, {CINE: 0.95, LGE: 0.1}, rules=Rules(sequence_classes=(CINE,)))
    snapshot = await world.judged_on(json.loads(run.gate)["dataset"])
    assert {case.sequence_class for case in snapshot.of("validation")} == {CINE}
    assert "waits for an administrator" in run.message


async def test_candidates_from_elsewhere_are_judged_where_the_champion_is_at_home(world: World) -> None:
    project, elsewhere = await world.project(), await world.project("elsewhere")
    await world.accept(*range(1, 31))
    await world.accept(*range(1, 41), project="elsewhere")
    await world.learnt(project, {"A": 0.9, "B": 0.9})
    run = await world.learnt(elsewhere, {"A": 0.95, "B": 0.95})
    here = json.loads(run.gate)["dataset"]
    assert (await world.judged_on(here)).project == "demo"
    pushed = await world.pushed({"A": 0.96, "B": 0.96})
    verdict, _ = await world.judge(pushed)
    assert verdict.dataset == here
    await world.crown(pushed)  # of its own past nothing is known: it answers where the champion before it did
    verdict, rival = await world.judge(await world.store.model("net", 2))
    assert (rival, verdict.passed, verdict.dataset) == (pushed, False, here)
