"""What you learn here: entries are scored on labels that nobody sees, ranked with how sure that is, and one wins."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from container_builders import ThresholdRuntime, an_archive, sockets, threshold
from engines import pipeline_of
from google.protobuf.json_format import MessageToJson
from irp.training.v1 import challenge_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import decode_volume
from irp_kernel.errors import ModelUnknown, Unavailable
from irp_training.adapters.challenge_rows import ENTRY_JOB, ChallengeRows
from irp_training.adapters.challenge_rpc import ChallengeServicer, ChallengeVerbs
from irp_training.adapters.container_rows import ContainerRows
from irp_training.adapters.db import METADATA
from irp_training.adapters.store import SqlStore
from irp_training.app.approvals import Approvals
from irp_training.app.ask_container import accepted
from irp_training.app.configuration import Configurations
from irp_training.app.conform_container import ConformContainer
from irp_training.app.create_challenge import ChallengeWish, CreateChallenge
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.enter_challenge import EnterChallenge
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.ports import Project
from irp_training.app.promote_container import PromoteContainer
from irp_training.app.promote_meanwhile import PromoteMeanwhile, Standing
from irp_training.app.promote_model import PromoteModel
from irp_training.app.promote_winner import PromoteWinner
from irp_training.app.read_leaderboard import ReadLeaderboard
from irp_training.app.register_container import Pushed, RegisterContainer
from irp_training.app.register_model import RegisterModel
from irp_training.app.score_entry import ScoreEntry
from irp_training.app.work_ports import CaseFiles
from irp_training.domain.challenges.challenge import CaseScore, Challenge, Entry, Metric
from irp_training.domain.challenges.leaderboard import rank
from irp_training.domain.challenges.scoring import score_answer, score_model_entry
from irp_training.domain.container_errors import (
    ChallengeClosed,
    ChallengeExists,
    ChallengeNotValid,
    ChallengeOpen,
    ContainerNotAccepted,
    EntryNeedsMarks,
    EntrySawTestSet,
    TooManyEntries,
)
from irp_training.domain.containers.metaimage import write_mha
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.learning.plan import CaseFile
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow, ModelRef, Run
from precision_builders import a_pool, a_threshold, held_out
from sqlalchemy import MetaData, select

DEADLINE = "2026-03-01T12:00:00+01:00"
METRICS: tuple[Metric, ...] = ("dice", "hd95")


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class InThisProcess:
    """Scores models as the worker process does, without the process; or raises what it is told."""

    def __init__(self) -> None:
        self.trouble: list[Exception] = []

    async def score_entry(
        self, bundle: bytes, files: CaseFiles, structures: tuple[str, ...], metrics: tuple[Metric, ...]
    ) -> list[CaseScore]:
        if self.trouble:
            raise self.trouble.pop(0)
        return score_model_entry(pipeline_of(bundle), [file async for file in files()], structures, metrics)


class World:
    """The part of the training room that holds challenges; three patients in `test`, one each in the other splits."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder, self.time = database, folder, "2026-01-01T00:00:00+00:00"
        self.store, self.objects, self.runtime = SqlStore(database), InMemoryObjects(), ThresholdRuntime()
        self.rows, self.containers, self.examiner = ChallengeRows(database), ContainerRows(database), InThisProcess()
        self.create_dataset = CreateDataset(self.store, self.objects, Configurations(self.objects))
        self.create = CreateChallenge(self.rows, self.objects, self.create_dataset, self.now)
        self.enter_challenge = EnterChallenge(self.rows, self.store, self.containers, self.objects, self.now)
        self.score = ScoreEntry(
            self.rows,
            self.store,
            self.containers,
            self.objects,
            examiner=self.examiner,
            runtime=self.runtime,
            now=self.now,
        )
        self.leaderboard = ReadLeaderboard(self.rows, self.now)
        judge = JudgeCandidate(self.store, self.objects, self.examiner)  # type: ignore[arg-type]
        self.approvals = Approvals(self.store, Configurations(self.objects), 0)
        promote = PromoteMeanwhile(PromoteModel(self.store, judge, self.approvals, self.now))
        self.promote = PromoteWinner(self.leaderboard, promote, PromoteContainer(self.containers, self.now))

    def now(self) -> str:
        return self.time

    async def begin(self) -> None:
        cases = [
            replace(case, volume=await self.put(volume), mask=await self.put(mask))
            for case, _, volume, mask in held_out(5)
        ]
        parts = {"test": cases[:3], "training": cases[3:4], "validation": cases[4:]}
        splits = {part: [case.patient for case in kept] for part, kept in parts.items()}
        configuration = await self.put(json.dumps({"name": "demo", "splits": splits}).encode())
        self.project = Project(id="demo", revision=1, configuration=configuration)
        async with self.store.change() as change:
            for case in cases:
                await change.remember_case("demo", case)

    async def put(self, data: bytes) -> Any:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="application/json", extension="bin"
        )

    async def a_challenge(self, **changes: Any) -> Challenge:
        told = {"name": "pools", "title": "Who finds the pool?", "structures": ("lv_blood_pool",), "metrics": ()}
        more = {"deadline": DEADLINE, "entries_per_team": 0, "sequence_classes": (), "actor": "an owner"}
        return await self.create(self.project, ChallengeWish(**{**told, **more, **changes}))

    async def a_model(self, name: str = "net") -> Model:
        return await RegisterModel(self.store, self.objects, self.approvals, self.now)(name, a_threshold(), "somebody")

    async def a_container(self, how: str = "") -> str:
        path = self.folder / "archive.tar"
        path.write_bytes(an_archive(how=how))
        register = RegisterContainer(self.containers, self.objects, self.now, 1 << 30)
        container = await register(Pushed(name="box", archive=path, sockets=sockets(), actor="an admin"))
        await ConformContainer(self.containers, self.runtime, self.now)("box", container.version)
        return str(container)

    async def enter(self, kind: str = "model", name: str = "net", version: int = 1, team: str = "them") -> Entry:
        return await self.enter_challenge("pools", kind, name, version, team)

    async def scored(self, entry: Entry, **how: Any) -> Entry:
        await self.score(entry.challenge, entry.id, **how)
        return await self.rows.entry(entry.challenge, entry.id)

    async def jobs(self) -> list[str]:
        table = METADATA.tables["job"]
        async with self.database.read() as connection:
            return list((await connection.execute(select(table.c.key).where(table.c.kind == ENTRY_JOB))).scalars())


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> World:
    world = World(database, tmp_path)
    await world.begin()
    return world


async def test_models_and_containers_are_ranked_together_and_the_best_model_is_promoted(world: World) -> None:
    challenge = await world.a_challenge()
    assert (challenge.cases, challenge.patients, challenge.metrics) == (3, 3, METRICS)
    assert challenge.deadline == "2026-03-01T11:00:00+00:00"
    await world.a_model()
    await world.a_container()
    net = await world.scored(await world.enter())
    world.runtime.trouble = [None, {"exit_code": 3}]  # of three cases one fails: it has the worst values
    box = await world.scored(await world.enter("container", "box", team="others"))
    assert (net.state, box.state) == ("scored", "scored")
    assert box.message == "what it learnt from is not known here"
    board = await world.leaderboard("pools")
    assert not board.final
    assert [(entry.kind, row.position, row.mean_rank) for entry, row in board.rows] == [
        ("model", 1, 1.0),
        ("container", 2, 2.0),
    ]
    dice, hd95 = board.rows[1][1].figures
    assert (dice.metric, dice.missing, hd95.metric) == ("dice", 1, "hd95")
    assert dice.mean == pytest.approx(2 / 3)
    assert dice.low <= dice.mean <= dice.high
    assert hd95.mean == pytest.approx(np.hypot(96.0, 96.0) / 3)
    with pytest.raises(ChallengeOpen):
        await world.promote("pools", "an admin")
    world.time = "2026-03-01T11:00:01+00:00"
    assert (await world.leaderboard("pools")).final
    won = await world.promote("pools", "an admin")
    assert (str(won.ref), won.kind, won.stands.state) == ("net@1", "model", "promoted")
    assert won.stands.verdict
    assert won.stands.verdict.passed
    assert [promotion.version for promotion in await world.store.history("net")] == [1]
    with pytest.raises(ChallengeClosed):
        await world.enter(team="too late")


async def test_an_output_without_a_geometry_is_the_containers_own_fault_on_that_case_alone(world: World) -> None:
    await world.a_challenge()
    await world.a_container()
    world.runtime.trouble = [None, {"outputs": flattened(held_out(1)[0])}]
    box = await world.scored(await world.enter("container", "box"))
    assert box.state == "scored"
    ((_, row),) = (await world.leaderboard("pools")).rows
    assert row.figures[0].missing == 1
    world.runtime.trouble = [{"outputs": flattened(held_out(1)[0])}]
    await world.a_container("another")
    assert (await world.containers.container("box", 2)).state == "refused"


def flattened(case: CaseFile) -> dict[str, bytes]:
    """An answer whose voxels have one side of no length, but for rounding."""
    answer = threshold({"image.mha": write_mha(decode_volume(case[2]))})
    return {path: re.sub(rb"ElementSpacing = \S+", b"ElementSpacing = 1e-300", data) for path, data in answer.items()}


async def test_nothing_of_a_single_case_or_patient_leaves_the_room(world: World) -> None:
    await world.a_challenge()
    await world.a_model()
    entry = await world.scored(await world.enter())
    verbs = ChallengeVerbs(
        create=world.create, enter=world.enter_challenge, leaderboard=world.leaderboard, promote=world.promote
    )
    servicer = ChallengeServicer(world.rows, verbs, world.now)
    act_as(Caller(subject="an entrant", project="", roles=frozenset()))
    asked = {"challenge": "pools"}
    told = [
        await servicer.GetLeaderboard(pb.GetLeaderboardRequest(**asked), None),
        await servicer.GetEntry(pb.GetEntryRequest(**asked, entry_id=entry.id), None),
        await servicer.ListChallenges(pb.ListChallengesRequest(), None),
    ]
    text = "".join(MessageToJson(message) for message in told)
    assert "net" in text
    for case in await world.store.cases("demo"):
        for secret in (case.series, case.patient, case.mask.sha256, case.volume.sha256):
            assert secret not in text


async def test_the_same_entry_again_is_one_entry_and_a_team_may_not_try_for_ever(world: World) -> None:
    await world.a_challenge(entries_per_team=1)
    await world.a_model()
    first = await world.enter()
    assert await world.enter() == first
    await world.a_model("other")
    with pytest.raises(TooManyEntries):
        await world.enter(name="other")
    assert (await world.enter(name="other", team="others")).state == "queued"
    assert len(await world.jobs()) == 2


async def test_a_part_that_is_down_is_waited_for_and_a_failure_can_be_entered_again(world: World) -> None:
    await world.a_challenge(entries_per_team=1)
    await world.a_model()
    entry = await world.enter()
    world.examiner.trouble = [Unavailable(), EntryNeedsMarks()]
    with pytest.raises(Unavailable):
        await world.scored(entry)
    failed = await world.scored(entry)
    assert (failed.state, failed.reason) == ("failed", "ENTRY_NEEDS_MARKS")
    assert [entry.state for entry in (await world.leaderboard("pools")).unranked] == ["failed"]
    again = await world.enter()
    assert (again.state, again.attempt) == ("queued", 2)
    done = await world.scored(again)
    assert done.state == "scored"
    assert await world.scored(again) == done


async def test_who_learnt_from_the_test_set_is_not_let_in_nor_are_its_children(world: World) -> None:
    """The leak is found through the dataset of a model's run, and of the run of what it was fine-tuned from."""
    await world.a_challenge()
    clean = await world.create_dataset(world.project)
    snapshot = Snapshot.from_manifest(await world.objects.get(clean.manifest))
    taught = replace(snapshot, entries=tuple(replace(entry, part="training") for entry in snapshot.entries))
    dirty = replace(clean, digest=taught.digest, manifest=await world.put(taught.manifest()))
    parent = await a_trained(world, "parent", dirty)
    with pytest.raises(EntrySawTestSet):
        await world.enter(name="parent")
    await a_trained(world, "child", clean, base=parent.ref)
    with pytest.raises(EntrySawTestSet):
        await world.enter(name="child")
    await a_trained(world, "stranger", clean)
    assert (await world.enter(name="stranger")).message == ""


async def a_trained(world: World, name: str, dataset: DatasetRow, base: ModelRef | None = None) -> Model:
    run = Run(project="demo", id=name, model=name, recipe="{}", dataset=dataset, actor="", created_at="", base=base)
    bundle = await world.put(name.encode())
    model = Model(
        ref=ModelRef(name=name, version=0, digest=bundle.sha256),
        bundle=bundle,
        created_at="",
        actor="",
        licence="",
        figures="{}",
        structures=("lv_blood_pool",),
        dataset_digest=dataset.digest,
        run=("demo", name),
    )
    async with world.store.change() as change:
        await change.add_run(run)
        return await change.add_model(model)


async def test_a_container_that_wins_is_what_its_name_means_from_then_on(world: World) -> None:
    await world.a_challenge()
    await world.a_container()
    await world.scored(await world.enter("container", "box"))
    world.time = "2027-01-01T00:00:00+00:00"
    won = await world.promote("pools", "an admin")
    assert (won.kind, won.ref.name, won.stands) == ("container", "box", Standing(state="promoted"))
    box = await accepted(world.containers, "box", None)
    assert (box.promoted_at, box.promoted_by) == (world.time, "an admin")


async def test_only_what_is_registered_and_accepted_is_let_in(world: World) -> None:
    await world.a_challenge()
    with pytest.raises(ModelUnknown):
        await world.enter()
    world.runtime.trouble = [{"exit_code": 1}]
    await world.a_container()
    with pytest.raises(ContainerNotAccepted):
        await world.enter("container", "box")
    with pytest.raises(ChallengeNotValid):
        await world.enter("spreadsheet")


@pytest.mark.parametrize(
    "changes",
    [
        {"deadline": "2025-12-31T00:00:00Z"},
        {"deadline": "next week"},
        {"deadline": "2026-03-01T12:00:00"},
        {"metrics": ("accuracy",)},
        {"structures": ()},
        {"structures": ("brain",)},
        {"structures": ("lv_blood_pool", "scar")},  # nobody judged the latter
        {"entries_per_team": 1000},
        {"title": "x" * 1000},
    ],
)
async def test_a_challenge_that_cannot_be_held_is_refused(world: World, changes: dict[str, Any]) -> None:
    with pytest.raises(ChallengeNotValid):
        await world.a_challenge(**changes)


async def test_a_challenge_does_not_change(world: World) -> None:
    first = await world.a_challenge()
    world.time = "2026-01-02T00:00:00+00:00"
    assert await world.a_challenge() == first
    with pytest.raises(ChallengeExists):
        await world.a_challenge(title="Another one")


def cases(values: list[float], metric: str = "dice") -> list[CaseScore]:
    return [
        CaseScore(series=f"1.{n}", patient=f"p{n}", values={metric: {"scar": value}}) for n, value in enumerate(values)
    ]


def test_equal_entries_share_a_place_and_rounding_places_nobody() -> None:
    scored = {"a": cases([0.8, 0.9]), "b": cases([0.9, 0.8 + 1e-12]), "c": cases([0.5, 0.5])}
    rows = rank(scored, ("dice",), ("scar",))
    assert [(row.entry, row.position, row.mean_rank) for row in rows] == [("a", 1, 1.5), ("b", 1, 1.5), ("c", 3, 3.0)]


def test_a_distance_is_better_when_it_is_smaller() -> None:
    rows = rank({"far": cases([9.0], "hd95"), "near": cases([2.0], "hd95")}, ("hd95",), ("scar",))
    assert [row.entry for row in rows] == ["near", "far"]
    assert {(row.position_low, row.position_high) for row in rows} == {(1, 2)}  # one patient tells nothing
    assert np.isnan(rows[0].figures[0].low)


def test_the_interval_of_a_place_says_whether_the_patients_agree() -> None:
    random = np.random.default_rng(1)
    base = random.uniform(0.6, 0.9, 12)
    sure = rank({"a": cases(list(base + 0.05)), "b": cases(list(base))}, ("dice",), ("scar",))
    assert [(row.position_low, row.position_high) for row in sure] == [(1, 1), (2, 2)]
    noise = random.normal(0, 0.1, 12)
    doubtful = rank({"a": cases(list(base + noise)), "b": cases(list(base))}, ("dice",), ("scar",))
    assert {(row.position_low, row.position_high) for row in doubtful} == {(1, 2)}
    assert doubtful == rank({"a": cases(list(base + noise)), "b": cases(list(base))}, ("dice",), ("scar",))


def test_a_patient_counts_once_however_many_series_it_has() -> None:
    many = [replace(case, patient="p0") for case in cases([0.0] * 9)]
    (row,) = rank({"a": [*many, *cases([1.0, 1.0])[1:]]}, ("dice",), ("scar",))
    assert row.figures[0].mean == pytest.approx(0.5)


def test_what_is_left_out_is_worse_than_what_is_wrong() -> None:
    _, truth = a_pool(1)
    values = score_answer(None, truth, ("lv_blood_pool",), METRICS)
    assert values["dice"]["lv_blood_pool"] == 0.0
    assert values["hd95"]["lv_blood_pool"] == pytest.approx(np.hypot(96.0, 96.0))
    assert score_answer(truth, truth, ("lv_blood_pool",), METRICS) == {
        "dice": {"lv_blood_pool": 1.0},
        "hd95": {"lv_blood_pool": 0.0},
    }
    assert score_answer(None, truth, ("scar",), METRICS) == {}
