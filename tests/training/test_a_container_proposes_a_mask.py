"""What you learn here: a container is tried on a phantom before it is accepted, and then proposes masks of series."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from container_builders import (
    ThresholdRuntime,
    an_archive,
    manifest_digest,
    sockets,
    some_weights,
    threshold,
    threshold_binary,
)
from irp.ingest.v1.events_pb2 import SeriesDeleted
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp.training.v1.events_pb2 import ContainerMaskProposed
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import decode_mask, encode_volume
from irp_kernel.errors import InvalidArgument, SeriesUnknown, Unavailable
from irp_training.adapters.container_rows import CONFORMANCE_JOB, CONTAINER_RUN_JOB, ContainerRows
from irp_training.adapters.container_runtime import OciRuntime, find_runtime
from irp_training.adapters.container_wire import container_to_proto, run_to_proto
from irp_training.adapters.db import METADATA
from irp_training.adapters.deleted_series import DeletedSeries
from irp_training.adapters.events import Events
from irp_training.adapters.scratch import Scratch
from irp_training.adapters.store import SqlStore
from irp_training.app.ask_container import AskContainer
from irp_training.app.attempts import TURNS
from irp_training.app.configuration import Configurations
from irp_training.app.conform_container import ConformContainer
from irp_training.app.ports import Project
from irp_training.app.promote_container import PromoteContainer
from irp_training.app.propose_with_container import ProposeWithContainer
from irp_training.app.register_container import Pushed, RegisterContainer
from irp_training.app.remember_verdict import RememberVerdict
from irp_training.app.run_container import RunContainer
from irp_training.domain.container_errors import (
    ContainerNotAccepted,
    ContainerRunUnknown,
    ContainerUnknown,
    ImageNotAllowed,
    RuntimeMissing,
)
from irp_training.domain.containers.container import Container, ContainerRun, Target
from irp_training.domain.containers.inputs import input_files
from irp_training.domain.containers.phantom import phantom
from irp_training.domain.containers.sockets import read_sockets
from sqlalchemy import MetaData, select
from training_builders import a_ref

PROJECT = Project(id="demo", revision=1, configuration=a_ref(b"{}", "irp-gateway"))
SERIES = "1.2.3"


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class World:
    """The part of the training room that is about containers, without its doors; time stands still."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database, self.folder = database, folder
        self.rows, self.objects = ContainerRows(database), InMemoryObjects()
        self.use(ThresholdRuntime())

    def use(self, runtime: Any) -> Any:
        self.runtime = runtime
        self.conform = ConformContainer(self.rows, runtime, self.now)
        self.run = RunContainer(self.rows, self.objects, runtime, self.now)
        return runtime

    @staticmethod
    def now() -> str:
        return "2026-01-01T00:00:00+00:00"

    async def push(
        self, declaration: str = sockets(), archive: bytes = b"", model: bytes = b"", **more: str
    ) -> Container:
        path, weights = self.folder / "archive.tar", self.folder / "model.tar"
        path.write_bytes(archive or an_archive())
        weights.write_bytes(model)
        register = RegisterContainer(self.rows, self.objects, self.now, 1 << 30)
        pushed = Pushed(name="pool", archive=path, sockets=declaration, actor="an admin", **more)
        return await register(replace(pushed, model=weights) if model else pushed)

    async def tried(self, declaration: str = sockets(), archive: bytes = b"", model: bytes = b"") -> Container:
        container = await self.push(declaration, archive, model)
        await self.conform(container.name, container.version)
        return await self.rows.container(container.name, container.version)

    async def ask(self, version: int | None = None, frames: int = 2) -> ContainerRun:
        volume = await self.objects.put(
            encode_volume(phantom(frames)), project="demo", entity="e", id="i", kind="k", media_type="x", extension="x"
        )
        target = Target(series=SERIES, version=7, volume=volume)
        return await AskContainer(self.rows, self.now)(PROJECT, "pool", version, target, "a reader")

    async def events(self, automation: dict[str, Any]) -> Events:
        document = json.dumps({"automation": automation}).encode()
        where = {"project": "demo", "entity": "project", "id": "demo", "kind": "configuration"}
        self.configuration = await self.objects.put(document, **where, media_type="application/json", extension="json")
        ask = AskContainer(self.rows, self.now)
        propose = ProposeWithContainer(Configurations(self.objects), ask)
        verdicts = RememberVerdict(SqlStore(self.database))
        return Events(None, verdicts, None, None, None, propose)  # type: ignore[arg-type]

    def an_assessed_series(self, sequence_class: str) -> SeriesAssessed:
        fact = SeriesAssessed(verdict="good")
        fact.project.id, fact.project.revision = "demo", 1
        fact.project.configuration.CopyFrom(object_ref_to_proto(self.configuration))
        fact.aggregate.id, fact.aggregate.version = SERIES, 7
        fact.series.series_uid, fact.series.sequence_class = SERIES, sequence_class
        fact.series.volume.CopyFrom(object_ref_to_proto(a_ref(b"volume", "irp-ingest")))
        return fact

    async def worked(self, run: ContainerRun, **how: Any) -> ContainerRun:
        await self.run(run.project, run.id, **how)
        return await self.rows.run(run.project, run.id)

    async def listed(self) -> list[ContainerRun]:
        return (await self.rows.runs("demo", "", 10))[0]

    async def jobs(self, kind: str) -> list[str]:
        table = METADATA.tables["job"]
        async with self.database.read() as connection:
            return list((await connection.execute(select(table.c.key).where(table.c.kind == kind))).scalars())

    async def proposed(self) -> list[ContainerMaskProposed]:
        table = METADATA.tables["outbox"]
        async with self.database.read() as connection:
            rows = (await connection.execute(select(table))).all()
        return [ContainerMaskProposed.FromString(row.data) for row in rows if "container.mask" in row.subject]


@pytest.fixture
def world(database: Database, tmp_path: Path) -> World:
    return World(database, tmp_path)


def checks(container: Container) -> dict[str, bool]:
    return {check["name"]: check["passed"] for check in json.loads(container.report)["checks"]}


async def test_a_container_that_keeps_its_contract_is_accepted_and_its_report_says_why(world: World) -> None:
    container = await world.tried()
    assert (container.state, container.version, container.finished_at) == ("accepted", 1, world.now())
    assert checks(container) == dict.fromkeys(
        ("image", "runs", "outputs", "offline", "time", "deterministic", "numbers"), True
    )
    report = json.loads(container.report)
    assert (report["runtime"], report["said"], len(report["runs"])) == ("none 1.0", "done", 3)
    assert container.archive in await world.rows.references()
    assert container_to_proto(container).report == container.report
    await world.conform("pool", 1)  # the job comes twice: nothing is left to do
    assert len(world.runtime.ran) == 3
    assert {work.limits.memory_mb for work in world.runtime.ran} == {64}


async def test_the_same_again_is_the_same_version_and_another_declaration_is_another(world: World) -> None:
    assert [(await world.push()).version for _ in range(2)] == [1, 1]
    assert (await world.push(archive=an_archive(oci=False))).version == 1  # another form, the same image
    assert (await world.push(sockets(frames="together"))).version == 2
    weighted = await world.push(model=some_weights())
    assert (weighted.version, weighted.model_bytes) == (3, len(b"weights"))
    assert weighted.model in await world.rows.references()
    assert container_to_proto(weighted).HasField("model")
    assert await world.jobs(CONFORMANCE_JOB) == ["pool@1/1", "pool@2/1", "pool@3/1"]
    assert [str(container) for container in await world.rows.containers()] == ["pool@1", "pool@2", "pool@3"]


async def test_a_cluster_must_pull_the_very_image_that_was_pushed(world: World) -> None:
    named = await world.push(reference=f"registry.local/pool@{manifest_digest(an_archive())}")
    assert named.reference.startswith("registry.local/")
    for wrong in ("registry.local/pool:latest", f"registry.local/pool@sha256:{'0' * 64}"):
        with pytest.raises(ImageNotAllowed):
            await world.push(reference=wrong)


async def test_a_cluster_starts_only_an_image_whose_user_is_a_number(world: World) -> None:
    archive = an_archive(user="algorithm:1000")
    with pytest.raises(ImageNotAllowed, match="USER is a number"):
        await world.push(archive=archive, reference=f"registry.local/pool@{manifest_digest(archive)}")
    assert (await world.push(archive=archive)).version == 1  # one machine looks the name up in the image


@pytest.mark.parametrize(
    ("trouble", "failed"),
    [
        ({"exit_code": 3, "said": "the sky is falling"}, "container_failed"),
        ({"exit_code": 137, "out_of_memory": True}, "container_out_of_memory"),
        ({"exit_code": 137, "timed_out": True}, "container_time_limit"),
        ({"outputs": {}}, "output_missing"),
    ],
)
async def test_what_a_container_does_wrong_is_a_check_that_failed(
    world: World, trouble: dict[str, Any], failed: str
) -> None:
    world.runtime.trouble = [trouble]
    container = await world.tried()
    assert container.state == "refused"
    assert checks(container)[failed] is False
    assert json.loads(container.report)["said"] == trouble.get("said", "done")
    with pytest.raises(ContainerNotAccepted):
        await world.ask()


async def test_two_answers_to_one_question_are_not_accepted(world: World) -> None:
    other = threshold(input_files(phantom(), read_sockets(sockets())), above=100.0)
    world.runtime.trouble = [None, {"outputs": other}]
    assert checks(await world.tried())["deterministic"] is False


async def test_a_machine_without_runtime_says_so_and_the_test_can_be_done_later(world: World) -> None:
    world.runtime.trouble = [RuntimeMissing()]
    container = await world.tried()
    assert (container.state, container.reason) == ("failed", "RUNTIME_MISSING")
    assert (await world.push()).attempt == 2
    assert await world.jobs(CONFORMANCE_JOB) == ["pool@1/1", "pool@1/2"]
    world.runtime.trouble = [Unavailable(), Unavailable()]
    with pytest.raises(Unavailable):
        await world.conform("pool", 1)
    await world.conform("pool", 1, turn=TURNS)
    assert (await world.rows.container("pool", 1)).reason == "UNAVAILABLE"
    assert (await world.tried()).state == "accepted"


async def test_its_mask_is_announced_as_a_proposal_that_says_how_it_came_to_be(world: World) -> None:
    await world.tried()
    run = await world.ask()
    assert (run.state, await world.ask()) == ("queued", run)
    done = await world.worked(run)
    assert (done.state, done.progress.fraction, done.said) == ("succeeded", 1.0, "done")
    assert json.loads(done.values) == [{"interfaces": 1, "score": None}] * 2
    assert await world.worked(run) == done == await world.ask()
    (fact,) = await world.proposed()
    assert (fact.series_uid, fact.aggregate.version, fact.volume_sha256) == (SERIES, 7, run.target.volume.sha256)
    assert (fact.provenance.actor, fact.provenance.model.name, fact.provenance.model.version) == ("a reader", "pool", 1)
    told = fact.provenance.parameters
    assert (told["kind"], told["runtime"], told["runs"], told["network"]) == ("container", "none 1.0", "2", "none")
    assert (told["exit_code"], told["limit_memory_mb"], told["frames"]) == ("0", "64", "each")
    assert done.mask is not None
    mask = decode_mask(await world.objects.get(done.mask))
    assert np.array_equal(mask.labels == 1, phantom(2).array > 200)
    assert mask.annotated.all()
    assert done.mask in await world.rows.references()
    assert run_to_proto(done).container.name == "pool"
    assert [listed.id for listed in await world.listed()] == [run.id]


async def test_every_run_can_be_reached_page_by_page_and_pages_stay_where_they_are(world: World) -> None:
    await world.tried()
    first = await world.ask()
    for number in range(4):  # two of them at the same time
        at = f"2026-01-0{2 + number // 2}T00:00:00+00:00"
        await world.rows.add_run(replace(first, id=f"{number:032x}", created_at=at), PROJECT)
    begun, after = await world.rows.runs("demo", "", 2)
    assert [run.id for run in begun] == [first.id, f"{0:032x}"]
    table = METADATA.tables["container_run"]
    async with world.database.transaction() as tx:  # its series is deleted meanwhile
        await tx.execute(table.delete().where(table.c.id == first.id))
    then, after = await world.rows.runs("demo", after, 2)
    assert [run.id for run in then] == [f"{1:032x}", f"{2:032x}"]
    last, end = await world.rows.runs("demo", after, 2)
    assert ([run.id for run in last], end) == ([f"{3:032x}"], "")
    with pytest.raises(InvalidArgument):
        await world.rows.runs("demo", "7", 2)


async def test_frames_together_are_one_run(world: World) -> None:
    await world.tried(sockets(frames="together"))
    done = await world.worked(await world.ask())
    assert json.loads(done.ended_with)["runs"] == 1
    assert done.state == "succeeded"


async def test_a_run_that_fails_says_why_and_can_be_asked_for_again(world: World) -> None:
    await world.tried()
    run = await world.ask()
    world.runtime.trouble = [Unavailable(), {"exit_code": 3, "said": "no heart"}]
    with pytest.raises(Unavailable):
        await world.worked(run)
    failed = await world.worked(run)
    assert (failed.state, failed.reason, failed.said) == ("failed", "CONTAINER_FAILED", "no heart")
    assert "heart" not in failed.message  # a container's words stay in its run
    assert (await world.ask()).state == "queued"
    assert len(await world.jobs(CONTAINER_RUN_JOB)) == 2
    assert (await world.worked(run)).state == "succeeded"
    assert len(await world.proposed()) == 1


async def test_nothing_is_proposed_of_a_series_that_was_deleted_meanwhile(world: World) -> None:
    await world.tried()
    run = await world.ask()

    class Deleting(ThresholdRuntime):
        async def run(self, work: Any) -> Any:
            fact = SeriesDeleted(series_uid=SERIES)
            fact.project.id, fact.aggregate.version = "demo", 7
            await DeletedSeries(world.database, world.objects, str).forget(fact)
            return await super().run(work)

    world.use(Deleting())
    await world.run(run.project, run.id)
    assert await world.proposed() == []
    with pytest.raises(ContainerRunUnknown):
        await world.rows.run("demo", run.id)
    with pytest.raises(SeriesUnknown):
        await world.ask()


async def test_what_was_promoted_is_what_the_name_means_whatever_is_pushed_later(world: World) -> None:
    promote = PromoteContainer(world.rows, world.now)
    await world.tried()
    await world.tried(sockets(frames="together"))
    assert (await world.ask()).version == 2
    assert (await promote("pool", 1, "an admin")).promoted_by == "an admin"
    await world.tried(model=some_weights())
    assert ((await world.ask()).version, (await world.ask(version=3)).version) == (1, 3)
    assert (await promote("pool", 1, "an admin")).state == "accepted"  # the same again
    assert container_to_proto(await world.rows.container("pool", 1)).promoted_at == world.now()
    world.runtime.trouble = [{"exit_code": 3}]
    refused = await world.tried(sockets(limits={"time_s": 2}))
    with pytest.raises(ContainerNotAccepted):
        await promote("pool", refused.version, "an admin")


async def test_a_project_may_have_a_container_propose_for_a_class_of_series_by_itself(world: World) -> None:
    await world.tried()
    events = await world.events({"containers": {"cine-sax": "pool"}})
    fact = world.an_assessed_series("cine-sax")
    for _ in range(2):  # a fact may come twice
        await events.on_series_assessed(fact)
    (run,) = await world.listed()
    assert (run.name, run.actor, run.target.series, run.target.version) == ("pool", "automation", SERIES, 7)
    await events.on_series_assessed(world.an_assessed_series("other"))
    assert len(await world.listed()) == 1


@pytest.mark.parametrize("named", ["pool", "ghost", "pool@9", "pool@champion"])
async def test_a_container_that_is_not_there_keeps_no_verdict_from_being_remembered(world: World, named: str) -> None:
    await world.push()  # not tried yet
    events = await world.events({"containers": {"cine-sax": named}})
    await events.on_series_assessed(world.an_assessed_series("cine-sax"))
    assert await world.listed() == []
    table = METADATA.tables["quality_verdict"]
    async with world.database.read() as connection:
        assert (await connection.execute(select(table.c.verdict))).scalars().all() == ["good"]


async def test_what_is_not_known_is_said(world: World) -> None:
    with pytest.raises(ContainerUnknown):
        await world.ask()
    with pytest.raises(ContainerUnknown):
        await world.ask(version=3)
    await world.push()
    with pytest.raises(ContainerNotAccepted):
        await world.ask(version=1)


def runs_anything(command: list[str], archive: Path, image: str) -> bool:
    """Whether the runtime of this machine runs a container at all, asked without the product's way of asking."""
    subprocess.run([*command, "load", "--input", archive], capture_output=True, check=False)
    bounds = ("--memory=64m", "--pids-limit=16", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024")
    words = ["run", "--rm", "--network=none", "--read-only", *bounds]
    said = subprocess.run([*command, *words, image], capture_output=True, check=False)
    return said.returncode == 3  # the algorithm's own "no inputs.json"


async def test_a_real_container_runs_where_a_runtime_is_and_says_what_is_missing_where_none_is(world: World) -> None:
    """No fake on either machine: the product's own way to a runtime, whatever it finds."""
    command = find_runtime("")
    world.use(OciRuntime(world.objects, command, Scratch(world.folder)))
    if not command:
        container = await world.tried()
        assert (container.state, container.reason) == ("failed", "RUNTIME_MISSING")
        assert "podman" in RuntimeMissing.advice()
        return
    needy = an_archive(program=threshold_binary(), how="weights")
    container = await world.tried(archive=needy)
    if not runs_anything(command, world.folder / "archive.tar", container.image):
        assert (container.state, container.reason) in {("failed", "RUNTIME_MISSING"), ("failed", "RUNTIME_REFUSED")}
        return
    assert (container.state, container.message) == ("refused", "the container ended with exit code 3")
    container = await world.tried(archive=needy, model=some_weights())
    assert container.state == "accepted", container
    done = await world.worked(await world.ask(frames=1))
    assert (done.state, json.loads(done.ended_with)["exit_code"]) == ("succeeded", 0)
    assert json.loads(done.values) == [{"interfaces": 1, "score": None}]  # the loopback and no other
    assert done.mask is not None
    mask = decode_mask(await world.objects.get(done.mask))
    assert np.array_equal(mask.labels == 1, phantom().array > 200)
    expected = {
        "crash": "container_failed",
        "greedy": "container_out_of_memory",
        "slow": "container_time_limit",
        "link": "output_not_safe",
    }
    brief = sockets(limits={"time_s": 1, "memory_mb": 64, "cpus": 1, "processes": 16})
    for how, failed in expected.items():
        declared = brief if how == "slow" else sockets()
        tried = await world.tried(declared, an_archive(program=threshold_binary(), how=how))
        assert (tried.state, checks(tried).get(failed)) == ("refused", False), (how, tried.report)
    assert [*world.folder.glob("irp-container-*"), *world.folder.glob("irp-archive-*")] == []
