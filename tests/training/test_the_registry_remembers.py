"""What you learn here: two people agree where asked for, what served when is known, names follow the champion."""

from __future__ import annotations

import asyncio
import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from irp.training.v1 import training_service_pb2 as pb
from irp.training.v1.events_pb2 import ModelPromoted, ModelRegistered
from irp_chassis.auth import Caller, act_as
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel.errors import Aborted, InvalidArgument, ModelUnknown
from irp_kernel.model_statement import read_statement
from irp_kernel.signed import SignatureNotValid
from irp_training.adapters import migrations
from irp_training.adapters.db import METADATA
from irp_training.adapters.documents import candidacy_from_document
from irp_training.adapters.model_keys import ModelKeys, key_in
from irp_training.adapters.rpc import TrainingServicer
from irp_training.adapters.serving_rows import ServingRows
from irp_training.adapters.store import SqlStore
from irp_training.app.approvals import Approvals
from irp_training.app.configuration import Configurations
from irp_training.app.decide_promotion import DecidePromotion
from irp_training.app.find_version import find_version
from irp_training.app.finish_run import FinishRun
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.ports import Project
from irp_training.app.promote_meanwhile import PromoteMeanwhile
from irp_training.app.promote_model import PromoteModel, put_forward
from irp_training.app.rollback_model import RollbackModel
from irp_training.app.sign_known import SignKnown
from irp_training.app.tell_history import TellHistory
from irp_training.app.work_ports import CaseFiles
from irp_training.domain.datasets.dataset import Entry, Snapshot
from irp_training.domain.errors import (
    CandidateWorse,
    NoEarlierChampion,
    NothingToDecide,
    SecondPersonNeeded,
    VerdictOutdated,
)
from irp_training.domain.judging.gate import Verdict
from irp_training.domain.learning.plan import Outcome
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.registry.examined import Examined
from irp_training.domain.registry.registry import Model, aliases
from irp_training.domain.run import DatasetRow, ModelRef, Run
from sqlalchemy import MetaData, create_engine, select, text
from training_builders import a_case

POOL = "lv_blood_pool"


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Worker:
    """Has measured already; the bundle's bytes say how good it is."""

    async def examine(self, bundles: list[bytes], files: CaseFiles, listen: Any) -> tuple[Examined, ...]:
        return tuple(Examined(scores={"1.2.0": {POOL: float(data)}}) for data in bundles)


class World:
    """A registry without its doors, whose clock ticks once per question; "net" has version 1 as its champion."""

    def __init__(self, database: Database, approvals: int = 0) -> None:
        self.database, self.objects, self.ticks = database, InMemoryObjects(), 0
        self.keys = ModelKeys(bytes(32), commit="c0ffee")
        self.store = SqlStore(database, self.keys.sign)
        self.servings = ServingRows(database, self.now)
        self.judge = JudgeCandidate(self.store, self.objects, Worker())  # type: ignore[arg-type]
        self.history = TellHistory(self.store, self.servings)
        self.decide = DecidePromotion(self.store, self.now)
        self.rollback = RollbackModel(self.store, self.now)
        self.ask(approvals)

    def ask(self, approvals: int) -> None:
        self.approvals = Approvals(self.store, Configurations(self.objects), approvals)
        self.promote = PromoteModel(self.store, self.judge, self.approvals, self.now)

    def now(self) -> str:
        self.ticks += 1
        return f"2026-01-01T00:{self.ticks // 60:02}:{self.ticks % 60:02}.000+00:00"

    async def begin(self) -> None:
        await self.a_project(approvals=0)
        await self.add(0.9)
        assert (await self.promote("net", 1, "ada"))[1] == "promoted"

    async def a_project(self, approvals: int) -> Project:
        document = json.dumps({"name": "demo", "approvals": approvals}).encode()
        project = Project(id="demo", revision=1 + approvals, configuration=await self.put(document))
        case = replace(a_case(0), judged={POOL: 1})
        snapshot = Snapshot("demo", (Entry("validation", case),))
        self.dataset = DatasetRow(
            digest=snapshot.digest, manifest=await self.put(snapshot.manifest()), training=1, validation=1, test=0
        )
        seen = await self.store.placements("demo")
        async with self.store.change() as change:
            await change.remember_project(project)
            await change.remember_case("demo", case)
            await change.settle("demo", self.dataset.digest, snapshot.placements(), seen)
        return project

    async def put(self, data: bytes) -> Any:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="application/json", extension="bin"
        )

    async def add(self, dice: float) -> Model:
        """A version that a run made, as good as that."""
        bundle, at = await self.put(str(dice).encode()), self.now()
        run = Run(
            project="demo",
            id=f"run-{dice}",
            model="net",
            recipe=Recipe().to_json(),
            dataset=self.dataset,
            actor="ada",
            created_at=at,
        )
        model = Model(
            ref=ModelRef(name="net", version=0, digest=bundle.sha256),
            bundle=bundle,
            created_at=at,
            actor="ada",
            licence="CC0-1.0",
            figures="{}",
            structures=(POOL,),
            dataset_digest=self.dataset.digest,
            run=("demo", run.id),
        )
        async with self.store.change() as change:
            await change.add_run(run)
            return await change.add_model(model)

    async def kinds(self) -> list[tuple[str, int, str]]:
        return [(one.kind, one.version, one.actor) for one in (await self.history("net"))[0]]

    async def champion(self) -> int | None:
        return (await self.history("net"))[1].version

    async def facts(self, kind: Any) -> list[Any]:
        table = METADATA.tables["outbox"]
        subject = {ModelPromoted: "model.promoted", ModelRegistered: "model.registered"}[kind]
        async with self.database.read() as connection:
            rows = (await connection.execute(select(table).where(table.c.subject.contains(subject)))).all()
        return [kind.FromString(row.data) for row in rows]


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.begin()
    return world


async def test_where_two_must_agree_a_promotion_waits_for_somebody_else(world: World) -> None:
    world.ask(approvals=1)
    await world.add(0.95)
    assert (await world.promote("net", 2, "ada"))[1] == "pending"
    assert (await world.promote("net", 2, "ada"))[1] == "pending"  # asked twice is asked once
    assert await world.champion() == 1
    assert await world.store.waiting("net") == {2}
    with pytest.raises(SecondPersonNeeded):
        await world.decide("net", 2, approve=True, actor="ada")
    await world.decide("net", 2, approve=True, actor="grace", comment="looked at every case")
    assert await world.store.waiting("net") == set()
    await world.decide("net", 2, approve=True, actor="grace")  # the answer was lost: said again
    assert await world.champion() == 2
    assert (await world.kinds())[3:] == [
        *(("registered", 2, "ada"), ("waits", 2, "ada"), ("approved", 2, "grace"), ("promoted", 2, "ada"))
    ]
    (_, _, last) = [one for one in (await world.history("net"))[0] if one.version == 2][1:]
    assert (last.before, last.reason) == (1, "approved by grace")
    assert [fact.model.version for fact in await world.facts(ModelPromoted)] == [1, 2]
    with pytest.raises(NothingToDecide):
        await world.decide("net", 2, approve=False, actor="grace")


async def test_a_rejection_stays_in_the_history_and_can_be_asked_for_again(world: World) -> None:
    world.ask(approvals=1)
    await world.add(0.95)
    await world.promote("net", 2, "ada")
    await world.decide("net", 2, approve=False, actor="grace", comment="the apex is wrong")
    assert await world.champion() == 1
    assert (await world.promote("net", 2, "ada"))[1] == "pending"
    happened = (await world.history("net"))[0]
    assert [one.kind for one in happened if one.version == 2] == ["registered", "waits", "rejected", "waits"]
    assert [one.reason for one in happened if one.kind == "rejected"] == ["the apex is wrong"]


async def test_nobody_asks_under_another_name_and_then_agrees_with_himself(world: World) -> None:
    world.ask(approvals=1)
    model = await world.add(0.95)
    promote = PromoteMeanwhile(world.promote)
    verbs: Any = SimpleNamespace(promote=promote, decide=world.decide, approvals=world.approvals)
    doors, named = TrainingServicer(world.store, verbs), {"name": "net", "version": model.ref.version}
    act_as(Caller(subject="ada", roles=frozenset({"owner"})))
    assert (await doors.Promote(pb.PromoteRequest(actor="bob", **named), None)).state == "pending"
    with pytest.raises(SecondPersonNeeded):
        await doors.DecidePromotion(pb.DecidePromotionRequest(approve=True, **named), None)
    assert ("waits", 2, "ada") in await world.kinds()


async def test_a_project_can_ask_for_four_eyes_where_the_installation_does_not(world: World) -> None:
    await world.a_project(approvals=1)
    model = await world.add(0.95)
    assert await world.approvals.of(model) == 1
    assert await world.approvals.of(replace(model, run=None)) == 1  # pushed, but to those whom "net" is a matter of
    assert await world.approvals.of(replace(model, run=None, ref=replace(model.ref, name="other"))) == 0
    history = await world.store.history("net")
    assert await world.approvals.unagreed([await world.store.model("net", 1), model], history) == {2}  # 1 was champion
    assert (await world.promote("net", 2, "ada"))[1] == "pending"


async def test_an_approval_comes_too_late_when_another_version_became_the_champion(world: World) -> None:
    world.ask(approvals=1)
    await world.add(0.95)
    await world.add(0.96)
    await world.promote("net", 2, "ada")
    await world.promote("net", 3, "ada")
    await world.decide("net", 3, approve=True, actor="grace")
    with pytest.raises(VerdictOutdated):
        await world.decide("net", 2, approve=True, actor="grace")
    assert await world.champion() == 3
    assert ("outdated", 2, "grace") in await world.kinds()


async def test_a_refused_candidate_and_a_run_that_asked_for_nothing_are_remembered_too(world: World) -> None:
    worse = await world.add(0.5)
    with pytest.raises(CandidateWorse):
        await world.promote("net", 2, "ada")
    async with world.store.change() as change:
        verdict = Verdict(passed=True, reason="fine", margin=0.01)
        stood = await put_forward(
            change, worse, None, verdict, actor="ada", at=world.now(), approvals=0, wanted=False, run="run-0.5"
        )
    assert stood.state == "judged"
    refused, judged = (one for one in (await world.history("net"))[0] if one.gate and one.version == 2)
    assert (refused.kind, refused.reason) == ("refused", f"worse on {POOL}")
    assert json.loads(refused.gate)["comparisons"][0]["candidate"] == 0.5
    assert (judged.kind, judged.run) == ("judged", "run-0.5")


async def test_who_was_learnt_from_does_not_judge(world: World) -> None:
    learnt = Snapshot("demo", (Entry("training", a_case(0)), Entry("training", a_case(2))))
    async with world.store.change() as change:
        run = (await world.store.page_of_runs("demo", "", 1))[0][0]
        row = replace(run.dataset, digest=learnt.digest, manifest=await world.put(learnt.manifest()))
        await change.save_run(replace(run, dataset=row))  # the champion was taught by the one who shall judge
    await world.add(0.99)
    with pytest.raises(CandidateWorse, match="learnt from every patient"):
        await world.promote("net", 2, "ada")


async def test_the_history_says_what_served_at_any_time(world: World) -> None:
    before = world.now()
    await world.add(0.95)
    await world.promote("net", 2, "ada")
    between = world.now()
    await world.rollback("net", "grace", "too many corrections")
    assert (await world.history("net", before))[1].version == 1
    happened, served = await world.history("net", between)
    assert (served.version, happened[-1].kind) == (2, "promoted")
    happened, served = await world.history("net")
    assert (served.version, happened[-1].before, happened[-1].reason) == (1, 2, "too many corrections")
    assert (await world.history("net", "2025-12-31T23:00:00-01:00"))[1].version is None
    for wrong in ("yesterday", "2026-01-01T00:00:00"):
        with pytest.raises(InvalidArgument):
            await world.history("net", wrong)
    with pytest.raises(ModelUnknown):
        await world.history("nobody")


async def test_a_digest_names_its_version_for_ever(world: World) -> None:
    await world.add(0.95)
    first = await world.store.model("net", 1)
    await world.promote("net", 2, "ada")
    assert await find_version(world.store, f"net@sha256:{first.ref.digest}") == first
    for nobody in ("net@sha256:" + "0" * 64, f"heart@sha256:{first.ref.digest}"):
        with pytest.raises(ModelUnknown):
            await find_version(world.store, nobody)


async def test_names_follow_the_champion(world: World) -> None:
    with pytest.raises(ModelUnknown):
        await find_version(world.store, "net@candidate")  # the newest is the champion
    await world.add(0.95)
    assert (await find_version(world.store, "net@candidate")).ref.version == 2
    await world.promote("net", 2, "ada")
    named = {text: (await find_version(world.store, text)).ref.version for text in ("net", "net@previous", "net@1")}
    assert named == {"net": 2, "net@previous": 1, "net@1": 1}
    await world.rollback("net", "ada")
    assert aliases([1, 2], await world.store.history("net")) == {"candidate": 2, "champion": 1}
    with pytest.raises(NoEarlierChampion):
        await world.rollback("net", "ada")
    assert [(fact.model.version, fact.previous) for fact in await world.facts(ModelPromoted)] == [
        *((1, 0), (2, 1), (1, 0))
    ]


async def test_a_rollback_that_a_promotion_overtakes_says_so_and_changes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.add(0.95)
    await world.promote("net", 2, "ada")
    third, read = await world.add(0.97), world.store.model

    async def overtaken(name: str, version: int) -> Model:
        monkeypatch.setattr(world.store, "model", read)
        await world.promote("net", third.ref.version, "ada")
        return await read(name, version)

    monkeypatch.setattr(world.store, "model", overtaken)
    with pytest.raises(Aborted, match="at the same time"):
        await world.rollback("net", "grace")
    assert [one.kind for one in await world.store.history("net")] == ["promote"] * 3
    assert (await world.rollback("net", "grace")).ref.version == 2


async def test_every_version_is_signed_with_where_it_comes_from(world: World) -> None:
    model = await world.store.model("net", 1)
    keys = [json.loads(jwk) for jwk in world.keys.jwks]
    said = read_statement(model.signature, keys, sha256=model.ref.digest, subject="net@1")
    assert (said["actor"], said["run"], said["code"]["commit"]) == (
        "ada",
        {"project": "demo", "id": "run-0.9"},
        "c0ffee",
    )
    assert said["dataset"] == {"sha256": world.dataset.digest}
    assert {fact.signature for fact in await world.facts(ModelRegistered)} == {model.signature}
    other = [json.loads(jwk) for jwk in ModelKeys(bytes(31) + b"1").jwks]
    for token, trusted, digest, subject in (
        (model.signature, other, model.ref.digest, ""),
        (model.signature, keys, "0" * 64, ""),
        (model.signature, keys, model.ref.digest, "net@2"),
        (model.signature[:-4], keys, model.ref.digest, ""),
        ("", keys, model.ref.digest, ""),
    ):
        with pytest.raises(SignatureNotValid):
            read_statement(token, trusted, sha256=digest, subject=subject)


async def test_versions_from_before_the_key_are_signed_when_there_is_one(world: World, database: Database) -> None:
    unsigned = World(database)
    unsigned.store, unsigned.dataset = SqlStore(database), world.dataset
    old = await unsigned.add(0.3)
    assert old.signature == ""
    await SignKnown(world.store)()
    signed = await world.store.model("net", old.ref.version)
    keys = [json.loads(jwk) for jwk in world.keys.jwks]
    said = read_statement(signed.signature, keys, sha256=old.ref.digest)
    assert (said["version"], said["code"]) == (old.ref.version, None)  # nobody wrote down what made it
    assert (await world.facts(ModelRegistered))[-1].signature == signed.signature


def test_the_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    assert key_in(None) is None
    path = tmp_path / "keys" / "models.pem"
    seed = key_in(path)
    assert seed == key_in(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(path.parent.iterdir()) == [path]
    assert Ed25519PrivateKey.from_private_bytes(seed or b"")


async def test_a_run_that_promotes_by_itself_waits_too_and_says_so(world: World) -> None:
    await world.a_project(approvals=1)
    ((run,), _) = await world.store.page_of_runs("demo", "", 9)
    finish = FinishRun(world.store, world.objects, world.judge, world.approvals, world.now)
    project = await world.store.project("demo")
    assert project is not None
    asked = replace(run, id="run-by-itself", actor="training", promote=True)
    async with world.store.change() as change:
        await change.add_run(asked)
    outcome = Outcome(bundle=b"0.95", structures=(POOL,), licence="CC0-1.0", figures={}, cases=[])
    done = await finish.succeeded(asked, project, outcome)
    assert (done.state, done.promoted) == ("succeeded", False)
    assert "waits for a second person's approval" in done.message
    assert await finish.succeeded(asked, project, outcome) == await world.store.run("demo", "run-by-itself")
    await world.decide("net", 2, approve=True, actor="ada")
    assert await world.champion() == 2
    assert ("waits", 2, "training") in await world.kinds()


def test_verdicts_from_before_there_was_a_history_are_taken_along() -> None:
    (file,) = (Path(migrations.__file__).parent / "versions").glob("*_candidacy.py")
    module = importlib.import_module(f"{migrations.__name__}.versions.{file.stem}")
    ref = {"name": "net", "version": 1, "digest": "a" * 64}
    about = {"ref": ref, "actor": "ada", "created_at": "2026-01-01T00:00:00+00:00"}
    verdict = {"passed": True, "reason": "fine", "margin": 0.01, "dataset": "d", "comparisons": []}
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("CREATE TABLE model_version (name, version, digest, document)"))
        connection.execute(text("CREATE TABLE gate_verdict (candidate, champion, document)"))
        models = [(1, "a" * 64, about), (2, "b" * 64, about | {"ref": ref | {"version": 2, "digest": "b" * 64}})]
        for version, digest, document in models:
            row = {"v": version, "d": digest, "doc": json.dumps(document)}
            connection.execute(text("INSERT INTO model_version VALUES ('net', :v, :d, :doc)"), row)
        row = {"c": "b" * 64, "r": "a" * 64, "doc": json.dumps(verdict)}
        connection.execute(text("INSERT INTO gate_verdict VALUES (:c, :r, :doc)"), row)
        (found,) = module._known(connection)
    stood = candidacy_from_document(found["document"])
    assert (stood.model.version, stood.champion, stood.state) == (2, ModelRef(**ref), "judged")
    assert json.loads(stood.gate)["reason"] == "fine"


async def test_replicas_that_number_at_the_same_moment_are_told_to_try_again(either_database: Database) -> None:
    world = World(either_database)
    await world.a_project(approvals=0)

    async def register_and_ask(dice: float) -> Model:
        model: Model | None = None
        while True:
            try:
                model = model or await world.add(dice)
                async with world.store.change() as change:
                    verdict = Verdict(passed=True, reason="", margin=0)
                    await put_forward(change, model, None, verdict, actor="ada", at=world.now(), approvals=0)
            except Aborted:  # and nothing else
                continue
            return model

    models = await asyncio.gather(*(register_and_ask(0.5 + n / 100) for n in range(4)))
    assert sorted(model.ref.version for model in models) == [1, 2, 3, 4]
    assert [one.number for one in await world.store.candidacies("net")] == [1, 2, 3, 4]
    assert [one.sequence for one in await world.store.history("net")] == [1]


async def test_versions_are_read_page_by_page_and_each_says_what_it_is_called_now(either_database: Database) -> None:
    world = World(either_database)
    await world.begin()
    world.ask(approvals=1)
    for number in range(1, 5):
        await world.add(0.9 + number / 100)
    await world.promote("net", 3, "ada")
    act_as(Caller(subject="ada"))
    verbs: Any = SimpleNamespace(approvals=world.approvals)
    doors, pages, after = TrainingServicer(world.store, verbs), list[list[pb.Model]](), ""
    while after or not pages:
        page = await doors.ListModels(pb.ListModelsRequest(name="net", after=after, limit=2), None)
        pages.append(list(page.models))
        after = page.next
    assert [[one.ref.version for one in found] for found in pages] == [[1, 2], [3, 4], [5]]
    shown = {one.ref.version: (list(one.aliases), one.pending, one.unagreed) for found in pages for one in found}
    assert shown[1] == (["champion"], False, False)
    assert shown[3] == ([], True, True)
    assert shown[5] == (["candidate"], False, True)
    everything = await doors.ListModels(pb.ListModelsRequest(), None)
    assert (len(everything.models), everything.next) == (5, "")
    one = await doors.GetModel(pb.GetModelRequest(name="net", alias="candidate"), None)
    assert one.model == everything.models[-1]
    with pytest.raises(ModelUnknown):
        await doors.GetModel(pb.GetModelRequest(name="net", version=9), None)
    with pytest.raises(InvalidArgument):
        await doors.ListModels(pb.ListModelsRequest(after="net"), None)
