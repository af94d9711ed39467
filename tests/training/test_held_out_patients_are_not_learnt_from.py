"""What you learn here: who was held out once is so for good: for runs, for those that wait, for their bases."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from irp.ingest.v1.events_pb2 import ClinicalRecorded
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel import encode_mask, encode_volume
from irp_kernel.errors import PermissionDenied
from irp_training.adapters.db import DATASET, HELD_OUT_IMAGE, METADATA, PLACEMENT
from irp_training.adapters.documents import to_document
from irp_training.adapters.events import Events
from irp_training.adapters.rpc import TrainingServicer
from irp_training.adapters.store import SqlStore
from irp_training.adapters.wire import project_to_proto
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.describe_dataset import DescribeDataset
from irp_training.app.judge_candidate import JudgeCandidate
from irp_training.app.keep_apart import KeepApart
from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Project
from irp_training.app.promote_model import crown
from irp_training.app.remember_clinical import RememberClinical, hash_of
from irp_training.app.start_run import StartRun, Wish
from irp_training.app.train_run import Terms, TrainRun
from irp_training.app.work_ports import CaseFiles
from irp_training.domain.datasets.dataset import Case, Entry, Snapshot
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.datasets.split import Part
from irp_training.domain.errors import DatasetUnknown, FrozenPatient, PatientLeak
from irp_training.domain.recipes.recipe import Recipe
from irp_training.domain.registry.examined import Examined
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow, ModelRef, Run
from sqlalchemy import MetaData, select
from training_builders import a_case, a_heart, only

LISTS = {"training": ["patient-1", "patient-4"], "validation": ["patient-2"], "test": ["patient-3"]}

EVERYBODY = [f"patient-{number}" for number in (1, 2, 3, 4)]


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def now() -> str:
    return "2026-01-01T00:00:00Z"


class Ended:
    """What FinishRun is told of a run that failed; nothing here succeeds."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def ended(self, run: Run, project: Project, state: str, *, reason: str = "", message: str = "") -> Run:
        self.reasons.append(reason)
        return run


class World:
    """Four patients whose masks are accepted; projects at revisions that name them."""

    def __init__(self, database: Database) -> None:
        self.database, self.store, self.objects, self.ended = database, SqlStore(database), InMemoryObjects(), Ended()
        self.create = CreateDataset(self.store, self.objects, Configurations(self.objects))
        self.start = StartRun(self.store, self.create, KeepApart(self.store, self.objects), now)
        # No worker: a run that came as far as learning would not be able to.
        self.train = TrainRun(self.store, self.objects, None, self.ended, Terms(threads=1), self.objects)  # type: ignore[arg-type]

    async def project(self, revision: int, lists: object = None, name: str = "demo", **case: str) -> Project:
        """At a revision that names these lists; its masks are accepted."""
        document = json.dumps({"name": name, "splits": lists or {}, "revision": revision}).encode()
        async with self.store.change() as change:
            for number in (1, 2, 3, 4):
                files = {kind: await self.put(f"{kind} {number}".encode()) for kind in ("volume", "mask")}
                found = a_case(number, patient=case.get(f"p{number}", ""))
                judged = {"lv_blood_pool": 1}
                await change.remember_case(name, replace(found, judged=judged, **files))  # type: ignore[arg-type]
        return Project(id=name, revision=revision, configuration=await self.put(document, "json"))

    async def put(self, data: bytes, kind: str = "manifest") -> object:
        return await self.objects.put(
            data, project="demo", entity="e", id="i", kind=kind, media_type="application/json", extension="json"
        )

    async def older(self, *entries: Entry) -> DatasetRow:
        """A dataset of before places were kept, as its row was then."""
        snapshot = Snapshot("demo", entries, version=1)
        row = DatasetRow(
            digest=snapshot.digest, manifest=await self.put(snapshot.manifest()), training=1, validation=1, test=1
        )
        document = to_document(row)
        for new in ("patients", "rules", "created_at", "actor"):
            document.pop(new)
        async with self.database.transaction() as tx:
            await tx.execute(DATASET.insert().values(project="demo", digest=row.digest, document=document))
        return row

    async def a_model(
        self, name: str, dataset: DatasetRow, base: ModelRef | None = None, digest: str = "d" * 64
    ) -> Model:
        """Registered as the result of a run on this dataset."""
        run = Run(
            project="demo", id=f"run-{name}-{digest[:4]}", model=name, recipe=Recipe().to_json(), dataset=dataset,
            actor="a", created_at=now(), base=base,
        )  # fmt: skip
        model = Model(
            ref=ModelRef(name=name, version=0, digest=digest), bundle=await self.put(digest.encode()),
            created_at=now(), actor="a", licence="CC0-1.0", figures="{}", structures=("lv_blood_pool",),
            run=("demo", run.id), dataset_digest=dataset.digest,
        )  # fmt: skip
        async with self.store.change() as change:
            await change.add_run(run)
            return await change.add_model(model)


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


async def test_the_same_query_on_the_same_facts_is_the_same_dataset_of_whoever_asked_first(world: World) -> None:
    project = await world.project(1)
    first = await world.create(project, actor="owner")
    again = await world.create(project, actor="somebody else")
    assert again == first
    assert (first.actor, sum(first.patients.values())) == ("owner", 4)
    assert await world.store.page_of_datasets("demo", "", 9) == ([first], "")
    other = await world.create(project, Rules(verdicts=("good", "unknown")))
    assert other.digest != first.digest
    pages = [await world.store.page_of_datasets("demo", "", 1)]
    pages.append(await world.store.page_of_datasets("demo", pages[0][1], 1))
    assert sorted(row.digest for rows, _ in pages for row in rows) == sorted([first.digest, other.digest])
    assert pages[-1][1] == ""
    assert await world.store.dataset_of("demo", first.digest[:8]) == first
    for digest in (first.digest[:7], "0" * 8, first.digest[:8] + "%"):
        with pytest.raises(DatasetUnknown):
            await world.store.dataset_of("demo", digest)
    with pytest.raises(DatasetUnknown):
        await world.store.dataset_of("other", first.digest)


async def test_a_later_configuration_cannot_make_a_held_out_patient_teach(world: World) -> None:
    await world.create(await world.project(1, LISTS))
    moved = {"training": ["patient-1", "patient-3"], "validation": ["patient-2"]}
    with pytest.raises(FrozenPatient):
        await world.start(await world.project(2, moved), Wish(model="cine"))
    assert await world.store.page_of_runs("demo", "", 9) == ([], "")
    unnamed = await world.create(await world.project(3))
    snapshot = Snapshot.from_manifest(await world.objects.get(unnamed.manifest))
    assert snapshot.patients("test") == {"patient-3"}
    assert snapshot.patients("validation") == {"patient-2"}


async def test_a_run_on_an_older_dataset_fails_once_its_pupil_is_held_out(world: World) -> None:
    before = await world.create(await world.project(1, LISTS))
    project = await world.project(2, LISTS)
    waiting = await world.start(project, Wish(model="cine", dataset_digest=before.digest[:12]))
    assert waiting.dataset == before
    held_out = {**LISTS, "training": ["patient-1"], "test": ["patient-3", "patient-4"]}
    await world.create(await world.project(3, held_out))
    with pytest.raises(FrozenPatient):
        await world.start(project, Wish(model="cine", dataset_digest=before.digest, request_id="later"))
    await world.train("demo", waiting.id)
    assert world.ended.reasons == ["FROZEN_PATIENT"]


async def test_a_base_whose_ancestor_learnt_from_somebody_who_is_held_out_now_is_refused(world: World) -> None:
    first = await world.create(await world.project(1, LISTS))
    grandmother = (await world.a_model("old", first)).ref
    later = await world.project(2, {**LISTS, "training": ["patient-1"], "test": ["patient-3", "patient-4"]})
    second = await world.create(later)
    base = await world.a_model("tuned", second, base=grandmother)
    for name in (str(grandmother), str(base.ref)):
        with pytest.raises(PatientLeak) as leak:
            await world.start(later, Wish(model="cine", base=name))
        assert name in leak.value.message
    learnt = await LearntFrom(world.store, world.objects)(base)
    assert learnt.patients == {("demo", "patient-1"), ("demo", "patient-4")}
    assert (learnt.whole, len(learnt.volumes)) == (True, 2)
    fresh = str((await world.a_model("fresh", second)).ref)
    assert (await world.start(later, Wish(model="cine", base=fresh))).state == "queued"


async def test_the_same_image_in_another_project_gives_the_patient_away(world: World) -> None:
    elsewhere = await world.create(await world.project(1, LISTS))
    base = str((await world.a_model("theirs", elsewhere)).ref)
    names = {f"p{n}": f"another-{n}" for n in (1, 2, 3, 4)}
    lists = {"training": ["another-2", "another-3", "another-4"], "validation": ["another-1"]}
    project = await world.project(1, lists, "second", **names)
    with pytest.raises(PatientLeak):
        await world.start(project, Wish(model="cine", base=base))


class Examiner:
    """Finds the candidate as good as told, on every case that it is shown."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    async def examine(self, bundles: list[bytes], files: CaseFiles, listen: Any) -> tuple[Examined, ...]:
        self.shown = [case.patient async for case, *_ in files()]
        await listen(len(self.shown))
        return tuple(Examined(scores={series: {"lv_blood_pool": 0.9} for series in self.shown}) for _ in bundles)


async def test_the_gate_compares_on_nobody_whom_one_of_the_two_has_learnt_from(world: World) -> None:
    examiner = Examiner()
    judge = JudgeCandidate(world.store, world.objects, examiner)  # type: ignore[arg-type]
    champion = await world.a_model("cine", await world.create(await world.project(1, LISTS)))
    async with world.store.change() as change:
        await crown(change, champion, "owner", now(), "")
    held_out = {"training": ["patient-1"], "validation": ["patient-2", "patient-4"], "test": ["patient-3"]}
    dataset = await world.create(await world.project(2, held_out))
    told = list[tuple[int, int]]()
    measured = judge(await world.a_model("cine", dataset, digest="e" * 64), lambda *far: told.append(far))
    verdict, rival = await measured
    assert rival == champion
    assert examiner.shown == ["patient-2"]  # the champion has learnt from patient-4
    assert told == [(1, 1)]
    assert verdict.passed
    assert any("1 validation cases are left out" in warning for warning in verdict.warnings)


async def test_a_candidate_that_can_be_compared_on_nobody_does_not_pass(world: World) -> None:
    judge = JudgeCandidate(world.store, world.objects, Examiner())  # type: ignore[arg-type]
    champion = await world.a_model("cine", await world.create(await world.project(1, {"training": EVERYBODY})))
    async with world.store.change() as change:
        await crown(change, champion, "owner", now(), "")
    dataset = await world.create(await world.project(2, {"validation": EVERYBODY}))
    verdict, _ = await judge(await world.a_model("cine", dataset, digest="e" * 64))
    assert not verdict.passed
    assert "every patient of the validation set" in verdict.reason


async def test_a_candidate_without_one_of_the_champions_structures_is_refused_whoever_is_held_out(world: World) -> None:
    examiner = Examiner()
    judge = JudgeCandidate(world.store, world.objects, examiner)  # type: ignore[arg-type]
    dataset = await world.create(await world.project(1, {"validation": EVERYBODY}))
    champion = await world.a_model("cine", dataset)
    async with world.store.change() as change:
        await crown(change, champion, "owner", now(), "")
    other = replace(champion, ref=replace(champion.ref, digest="e" * 64), structures=("lv_myocardium",))
    verdict, rival = await judge(other)
    assert rival == champion
    assert (verdict.passed, verdict.reason) == (False, "no longer segments lv_blood_pool")
    assert examiner.shown == []


async def test_one_person_whom_two_sites_sent_is_not_taught_and_held_out(world: World) -> None:
    project = await world.project(1, LISTS)
    cases = {case.series: case for case in await world.store.cases("demo")}
    twin = replace(cases["1.2.3"], volume=cases["1.2.1"].volume, site="another", version=2)
    async with world.store.change() as change:
        await change.remember_case("demo", twin)
    with pytest.raises(PatientLeak) as leak:
        await world.start(project, Wish(model="cine"))
    assert "two pseudonyms" in leak.value.message


async def a_twin(world: World, of: int, number: int) -> None:
    """Another site has sent one more patient's image under the pseudonym of a patient whose mask is accepted."""
    cases = {case.series: case for case in await world.store.cases("demo")}
    image = cases[f"1.2.{of}"].volume
    twin = replace(cases[f"1.2.{number}"], volume=image, site="another", version=2)
    async with world.store.change() as change:
        await change.remember_case("demo", twin)


async def test_an_image_that_is_held_out_is_not_taught_whichever_sites_a_run_learns_from(world: World) -> None:
    project, elsewhere = await world.project(1, LISTS), Wish(model="cine", rules=Rules(sites=("another",)))
    await world.create(project)
    await a_twin(world, of=3, number=4)
    with pytest.raises(PatientLeak) as leak:
        await world.start(project, elsewhere)
    assert "two pseudonyms" in leak.value.message
    twin = next(case for case in await world.store.cases("demo") if case.series == "1.2.4")
    async with world.store.change() as change:
        await change.remember_case("demo", replace(twin, volume=await world.put(b"another"), version=3))  # type: ignore[arg-type]
    assert (await world.start(project, elsewhere)).state == "queued"


async def test_a_later_image_of_somebody_who_is_held_out_is_not_taught_either(world: World) -> None:
    project = await world.project(1, LISTS)
    before = await world.create(project)
    taught = next(case for case in await world.store.cases("demo") if case.series == "1.2.1")
    later = replace(a_case(9, patient="patient-3"), volume=taught.volume, judged={"lv_blood_pool": 1})
    async with world.store.change() as change:
        await change.remember_case("demo", later)  # in no frozen dataset, but it would judge
    with pytest.raises(PatientLeak):
        await world.start(project, Wish(model="cine", dataset_digest=before.digest))


async def test_images_of_datasets_of_before_they_were_kept_are_held_out_too(world: World) -> None:
    project = await world.project(1, LISTS)
    await world.create(project)
    await a_twin(world, of=2, number=4)
    taught = await world.create(project, Rules(sites=("another",)))
    async with world.database.transaction() as tx:  # as the room of before left them
        await tx.execute(DATASET.update().values(images_kept=False))
        await tx.execute(HELD_OUT_IMAGE.delete())
    for wish in (Wish(model="cine", dataset_digest=taught.digest), Wish(model="cine", rules=Rules(sites=("another",)))):
        with pytest.raises(PatientLeak):
            await world.start(project, wish)
    assert await world.store.older_datasets("demo") == []
    held_out = {case.volume.sha256 for case in await world.store.cases("demo") if case.series in {"1.2.2", "1.2.3"}}
    assert await world.store.held_out_images("demo") == held_out
    assert await world.store.held_out_images("other") == set()


async def test_datasets_of_before_places_were_kept_hold_out_too(world: World) -> None:
    cases: list[tuple[Part, Case]] = [("training", a_case(1)), ("validation", a_case(2)), ("test", a_case(3))]
    old = await world.older(*(Entry(part, case) for part, case in cases))
    assert (await world.store.dataset_of("demo", old.digest)).rules == ""
    with pytest.raises(FrozenPatient):
        await world.create(await world.project(1, {"training": ["patient-3"]}))
    assert await world.store.older_datasets("demo") == []
    assert (await world.store.dataset_of("demo", old.digest)).patients == {"training": 1, "validation": 1, "test": 1}
    places = await world.store.placements("demo")
    assert {patient: one.part for patient, one in places.items()} == {
        "patient-1": "training", "patient-2": "validation", "patient-3": "test",
    }  # fmt: skip


async def test_who_freezes_at_the_same_moment_sees_the_same_places(either_database: Database) -> None:
    world = World(either_database)
    project = await world.project(1)
    async with world.store.change() as change:
        await change.remember_project(project)  # or else they would collide on its row before they come to places
    rules = [Rules(), Rules(verdicts=("good", "unknown")), Rules(least_certainty=0, sites=("site-1",))]
    found = await asyncio.gather(*(world.create(project, rule) for rule in rules))
    assert len({one.digest for one in found}) == 3
    assert len({(one.training, one.validation, one.test) for one in found}) == 1
    async with world.database.read() as connection:
        assert len((await connection.execute(select(PLACEMENT))).all()) == 4


async def test_a_mask_whose_acceptance_did_not_say_what_it_judges_is_read_once(world: World) -> None:
    volume, mask = a_heart(1)
    files = {
        "volume": await world.put(encode_volume(volume)),
        "mask": await world.put(encode_mask(only(mask, "lv_blood_pool"))),
    }
    project = await world.project(1)
    async with world.store.change() as change:
        await change.remember_case("demo", replace(a_case(5), **files))  # type: ignore[arg-type]
    pool = await world.create(project, Rules(structures=("lv_blood_pool",)))
    assert sum(pool.patients.values()) == 5
    wall = await world.create(project, Rules(structures=("lv_blood_pool", "lv_myocardium")))
    known = next(case for case in await world.store.cases("demo") if case.series == "1.2.5")
    assert known.judged == {"lv_blood_pool": 3, "lv_myocardium": 0, "rv_blood_pool": 0}
    assert wall.training + wall.validation + wall.test == 5


async def test_the_hash_of_clinical_values_is_in_the_manifest_and_the_newest_counts(world: World) -> None:
    events = Events(None, None, None, RememberClinical(world.store), None, None)  # type: ignore[arg-type]
    project, digests = await world.project(1), []
    for version, lvef in ((0, 0.0), (2, 55.0), (1, 61.0), (3, 48.0)):
        fact = ClinicalRecorded(patient="patient-1", values={"lvef": lvef}, categories={"group": "b"})
        fact.project.id, fact.aggregate.version = "demo", version
        if version:
            await events.on_clinical_recorded(fact)
        digests.append((await world.create(project)).digest)
    first, second, older, newest = digests
    assert second == older
    assert len({first, second, newest}) == 3
    row = (await world.store.page_of_datasets("demo", "", 9))[0][-1]
    entries = Snapshot.from_manifest(await world.objects.get(row.manifest)).entries
    expected = hash_of("demo", "patient-1", {"group": "b", "lvef": 48.0})
    assert {entry.case.clinical for entry in entries} == {"", expected}
    assert hash_of("demo", "patient-2", {"group": "b", "lvef": 48.0}) != expected


async def test_a_dataset_that_was_frozen_by_a_message_is_listed_and_described(world: World) -> None:
    describe = DescribeDataset(world.store, world.objects, Configurations(world.objects))
    verbs = SimpleNamespace(create_dataset=world.create, describe_dataset=describe)
    servicer = TrainingServicer(world.store, verbs)  # type: ignore[arg-type]
    act_as(Caller(subject="reader", project="demo", roles=frozenset({"annotator"})))
    project = project_to_proto(await world.project(1, LISTS))
    rules = pb.InclusionRules(structures=["lv_blood_pool"])
    asked = pb.CreateDatasetRequest(project=project, sequence_classes=["cine-sax"], rules=rules)
    frozen = (await servicer.CreateDataset(asked, None)).dataset
    assert (frozen.actor, list(frozen.rules.sequence_classes), dict(frozen.patients)["test"]) == (
        "reader",
        ["cine-sax"],
        1,
    )
    assert list((await servicer.ListDatasets(pb.ListDatasetsRequest(project=project), None)).datasets) == [frozen]
    asked_again = pb.GetDatasetRequest(project=project, digest=frozen.digest[:10])
    described = await servicer.GetDataset(asked_again, None)
    assert [(one.split, one.patients) for one in described.dataset.counts] == [
        ("training", 2), ("validation", 1), ("test", 1),
    ]  # fmt: skip
    assert "## Inclusion rules" in described.sheet
    act_as(Caller(subject="reader", project="other", roles=frozenset({"owner"})))
    with pytest.raises(PermissionDenied):
        await servicer.GetDataset(asked_again, None)
