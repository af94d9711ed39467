"""What you learn here: any version before any frozen dataset gives a signed report; never on patients it saw."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from engines import pipeline_of
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import Geometry, LabelTable, Mask, sha256_of
from irp_kernel.validation_report import check_report
from irp_training.adapters.db import METADATA
from irp_training.adapters.exchange import WorkerDied
from irp_training.adapters.model_keys import ModelKeys
from irp_training.adapters.rpc import TrainingServicer
from irp_training.adapters.store import SqlStore
from irp_training.adapters.wire_watching import validation_to_proto
from irp_training.app.approvals import Approvals
from irp_training.app.ask_validation import AskValidation
from irp_training.app.attempts import TURNS
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.ports import Project
from irp_training.app.register_model import RegisterModel
from irp_training.app.validate_model import ValidateModel
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.errors import DatasetUnknown, ModelSawPatients, NoFrozenSet, ValidationUnknown
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.run import DatasetRow, ModelRef, Run
from irp_training.domain.validations.agreement import agreement
from irp_training.domain.validations.certificate import split_of
from irp_training.domain.validations.disturb import KINDS, STRENGTHS, disturb
from irp_training.domain.validations.plan import ValidationOutcome, ValidationPlan
from irp_training.domain.validations.volumes import function_pairs, volume_pairs
from irp_training.domain.validations.work import ValidationWork
from precision_builders import a_pool, a_threshold, held_out
from sqlalchemy import MetaData
from training_builders import a_ref

NOW = "2026-01-01T00:00:00Z"
POOL = "lv_blood_pool"


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


@pytest.fixture(scope="module")
def outcome() -> ValidationOutcome:
    return ValidationWork(a_plan(), pipeline_of(a_plan().bundle), lambda said: None)(held_out(2))


def a_plan() -> ValidationPlan:
    model = ModelRef(name="pool", version=1, digest="d" * 64)
    return ValidationPlan(
        bundle=a_threshold(),
        model=model,
        dataset="e" * 64,
        project="demo",
        split="validation",
        cases=2,
        known=True,
        created_at=NOW,
    )


def test_a_report_tells_every_figure_with_its_interval_and_how_it_was_taken(outcome: ValidationOutcome) -> None:
    said = json.loads(outcome.files["report.json"])
    dice = said["figures"][POOL]["dice"]
    assert dice["patients"] == 2
    assert 0.9 < dice["low"] <= dice["mean"] <= dice["high"] <= 1
    assert {"hd95_mm", "assd_mm"} < set(said["figures"][POOL])
    assert said["agreement"][f"{POOL}_ml"]["patients"] == 2
    assert set(said["subgroups"]) == {"site", "sequence"}
    assert set(said["robustness"]) == {f"{kind}, {strength}" for kind in KINDS for strength in STRENGTHS}
    assert said["repeatability"]["voxels_differing"] == 0
    assert said["repeatability"]["dice_when_moved"]["mean"] > 0.9
    assert [one["dice"] for one in said["worst"]] == sorted(one["dice"] for one in said["worst"])
    assert json.loads(outcome.summary)["dice"][POOL] == dice


def test_the_page_needs_nothing_from_outside_and_the_same_validation_gives_the_same_bytes(
    outcome: ValidationOutcome,
) -> None:
    page = outcome.files["report.html"].decode()
    assert page.count("data:image/png;base64,") == 1 + 2
    assert "http" not in page.replace("xmlns", "")
    assert outcome.files["report.pdf"].startswith(b"%PDF")
    again = ValidationWork(a_plan(), pipeline_of(a_plan().bundle), lambda said: None)(held_out(2))
    assert {name: sha256_of(data) for name, data in again.files.items()} == {
        name: sha256_of(data) for name, data in outcome.files.items()
    }


@pytest.mark.parametrize("kind", list(KINDS))
def test_an_image_is_made_worse_the_same_way_every_time_and_more_so_when_strong(kind: str) -> None:
    volume, _ = a_pool(1)
    mild, strong = (disturb(volume, kind, strength, 5) for strength in STRENGTHS)
    assert mild.geometry == volume.geometry
    assert np.array_equal(mild.array, disturb(volume, kind, "mild", 5).array)
    far, near = (float(np.abs(one.array - volume.array).mean()) for one in (strong, mild))
    assert far > near > 0


def test_function_is_taken_at_the_truths_times_and_only_where_both_were_judged_on_the_same_slices() -> None:
    geometry = Geometry(shape=(2, 8, 8), affine=tuple(map(tuple, np.diag([10.0, 2.0, 2.0, 1.0]).tolist())), frames=3)
    table = LabelTable.canonical((POOL,))
    truth, found = np.zeros((3, 2, 8, 8), np.uint8), np.zeros((3, 2, 8, 8), np.uint8)
    truth[0, :, :5, :5], truth[1, :, :2, :5] = 1, 1  # 2 x 25 and 2 x 10 voxels of 0.04 ml
    found[0, :, :4, :5], found[1, :, :2, :5] = 1, 1
    annotated = np.ones((3, 2, 1), bool)
    annotated[2, 1] = False  # half a heart says nothing about a volume
    known = Mask(geometry=geometry, labels=truth, table=table, annotated=annotated)
    answer = Mask.fully_annotated(geometry, found, table)
    pairs = function_pairs(answer, known)
    assert pairs["edv_ml"] == pytest.approx((1.6, 2.0))
    assert pairs["esv_ml"] == pytest.approx((0.8, 0.8))
    assert pairs["ef_percent"] == pytest.approx((50.0, 60.0))
    assert volume_pairs(answer, known)[POOL] == pytest.approx((1.6, 2.0))


def test_agreement_counts_patients_and_says_nothing_about_one() -> None:
    found = agreement([("a", (11.0, 10.0)), ("a", (13.0, 10.0)), ("b", (10.0, 10.0))])
    assert (found["patients"], found["bias"]["mean"]) == (2, 1.0)
    assert found["upper"] == pytest.approx(1.0 + 1.96 * 2**0.5, abs=1e-4)
    assert agreement([("a", (1.0, 2.0))])["sd"] is None


class Worker:
    """Examines in this process, or raises what it is told to."""

    def __init__(self) -> None:
        self.trouble: list[Exception] = []
        self.examined = 0

    async def validate(self, plan: ValidationPlan, files: CaseFiles, listen: Listener) -> ValidationOutcome:
        if self.trouble:
            raise self.trouble.pop()
        self.examined += 1
        found = [file async for file in files()]
        assert {part for _, part, _, _ in found} == {plan.split}
        return ValidationOutcome(files={"report.json": b"{}"}, summary='{"dice": {}}')


class World:
    """A training room without its doors: a pushed model, a project with two patients in `validation`."""

    def __init__(self, database: Database) -> None:
        self.store, self.objects, self.worker = SqlStore(database), InMemoryObjects(), Worker()
        create = CreateDataset(self.store, self.objects, Configurations(self.objects))
        self.ask = AskValidation(self.store, self.objects, create, lambda: NOW)
        self.keys = ModelKeys(bytes(32))
        self.work: Any = ValidateModel(self.store, self.objects, self.worker, self.keys.sign_report, lambda: NOW)  # type: ignore[arg-type]

    async def begin(self) -> None:
        approvals = Approvals(self.store, Configurations(self.objects), 0)
        await RegisterModel(self.store, self.objects, approvals, lambda: NOW)("pool", a_threshold(), "somebody")
        cases = [
            replace(case, volume=await self.put(volume), mask=await self.put(mask))
            for case, _, volume, mask in held_out()
        ]
        names = [case.patient for case in cases]
        document = json.dumps({"name": "demo", "splits": {"validation": names}}).encode()
        self.project = Project(id="demo", revision=1, configuration=await self.put(document))
        async with self.store.change() as change:
            for case in cases:
                await change.remember_case("demo", case)

    async def put(self, data: bytes) -> Any:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind="k", media_type="application/json", extension="bin"
        )


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.begin()
    return world


async def test_a_report_is_kept_once_and_its_signature_holds_the_hash_of_every_file(world: World) -> None:
    asked = await world.ask("pool", 1, "somebody", world.project)
    assert (asked.state, asked.split, asked.known) == ("queued", "validation", False)
    await world.work("pool", 1, asked.id)
    done = await world.store.validation("pool", 1, asked.id)
    assert done.state == "succeeded"
    jws = (await world.objects.get(done.files["signature.jws"])).decode()
    keys = [json.loads(jwk) for jwk in world.keys.jwks]
    signed = check_report(jws, keys, {"report.json": b"{}"}.__getitem__)
    assert signed["files"] == {"report.json": {"sha256": sha256_of(b"{}"), "bytes": 2}}
    assert (signed["model"]["digest"], signed["dataset"]["digest"]) == (done.model.digest, done.dataset.digest)
    assert set(done.files.values()) <= set(await world.store.references())
    assert await world.ask("pool", 1, "somebody else", world.project) == done
    await world.work("pool", 1, asked.id)  # the job comes twice
    assert world.worker.examined == 1
    assert [file.name for file in validation_to_proto(done).files] == ["report.json", "signature.jws"]


async def test_a_part_that_is_down_is_waited_for_and_a_failure_can_be_asked_for_anew(world: World) -> None:
    world.worker.trouble = [WorkerDied(), WorkerDied()]
    asked = await world.ask("pool", 1, "somebody", world.project)
    with pytest.raises(WorkerDied):
        await world.work("pool", 1, asked.id)
    await world.work("pool", 1, asked.id, turn=TURNS)
    assert (await world.store.validation("pool", 1, asked.id)).reason == "WORKER_DIED"
    assert (await world.ask("pool", 1, "somebody", world.project)).attempt == 2


async def test_whatever_happens_no_row_waits_for_ever_and_none_says_what_it_was(world: World) -> None:
    world.worker.trouble = [KeyError("Meyer"), KeyError("Meyer")]
    asked = await world.ask("pool", 1, "somebody", world.project)
    with pytest.raises(KeyError):
        await world.work("pool", 1, asked.id, turn=TURNS - 1)
    await world.work("pool", 1, asked.id, turn=TURNS)
    found = await world.store.validation("pool", 1, asked.id)
    assert (found.state, found.reason, "Meyer" in found.message) == ("failed", "INTERNAL", False)
    assert (await world.ask("pool", 1, "somebody", world.project)).state == "queued"
    await world.work("pool", 1, asked.id, turn=TURNS + 1)  # each time the process was killed
    assert (await world.store.validation("pool", 1, asked.id)).reason == "INTERNAL"
    assert world.worker.examined == 0


async def test_outside_of_its_project_a_validation_says_whose_it_is_and_no_more(world: World) -> None:
    doors = TrainingServicer(world.store, SimpleNamespace(ask_validation=world.ask))  # type: ignore[arg-type]
    asked = await world.ask("pool", 1, "somebody", world.project)
    question = pb.GetValidationRequest(name="pool", version=1, id=asked.id)
    for project, role, state in (("demo", "viewer", "queued"), ("other", "owner", ""), ("", "admin", "queued")):
        act_as(Caller(subject="a", project=project, roles=frozenset({role})))
        found = (await doors.GetValidation(question, None)).validation
        assert (found.project, found.state, bool(found.split)) == ("demo", state, bool(state))


async def test_a_model_is_not_judged_on_patients_that_it_or_its_base_learnt_from(world: World) -> None:
    dataset = await CreateDataset(world.store, world.objects, Configurations(world.objects))(world.project)
    manifest = await world.objects.get(dataset.manifest)
    taught = await world.put(manifest.replace(b'"split":"validation"', b'"split":"training"'))
    ref = (await world.store.model("pool", 1)).ref
    run = Run(
        project="demo",
        id="run-1",
        model="pool",
        recipe=Recipe().to_json(),
        dataset=replace(dataset, manifest=taught),
        actor="somebody",
        created_at=NOW,
    )
    pushed = await world.store.model("pool", 1)
    async with world.store.change() as change:
        await change.add_run(run)
        await change.add_run(replace(run, id="run-2", dataset=dataset, base=replace(ref, version=2)))
        for number in (1, 2):
            grown = replace(pushed, ref=replace(ref, digest=str(number) * 64), run=("demo", f"run-{number}"))
            await change.add_model(grown)
    for version in (2, 3):
        with pytest.raises(ModelSawPatients) as refused:
            await world.ask("pool", version, "somebody", world.project)
        assert refused.value.details["patients"] == 2


async def test_what_cannot_be_judged_is_refused_at_the_door(world: World) -> None:
    with pytest.raises(NoFrozenSet):
        await world.ask("pool", 1, "somebody", None)
    with pytest.raises(DatasetUnknown):
        await world.ask("pool", 1, "somebody", world.project, digest="0" * 64)
    with pytest.raises(ValidationUnknown):
        await world.store.validation("pool", 1, "0" * 16)
    row = DatasetRow(digest="d", manifest=a_ref(), training=1, validation=2, test=0)
    assert split_of(row, "") == "validation"
    with pytest.raises(NoFrozenSet):
        split_of(row, "test")
