"""What you learn here: a reduced precision serves only with the guard's word for it; all else is float32, and said."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irp.inference.v1 import serving_service_pb2 as pb
from irp.inference.v1 import serving_service_pb2_grpc as pb_grpc
from irp.training.v1.events_pb2 import PrecisionGuarded
from irp_bundle import read_bundle
from irp_bundle.openvino_engine import OpenVinoEngine, graph_files, graphs_of
from irp_bundle.reduced import Reduced, probe_inputs, read_reduced, write_reduced
from irp_chassis.auth import act_as
from irp_chassis.db import Database
from irp_chassis.settings import ServiceSettings
from irp_chassis.testing.twins import InMemoryObjects
from irp_chassis.wire import object_ref_to_proto
from irp_inference.adapters.db import CHAMPION, METADATA, MODEL
from irp_inference.adapters.engines import Engines, ProcessNets
from irp_inference.adapters.precisions import GuardedEngines, GuardedRows, PrecisionFacts
from irp_inference.adapters.serving_rows import ServingRows
from irp_inference.adapters.shelf import Shelf
from irp_inference.domain.precision import Guarded, choose
from irp_kernel import ObjectRef, sha256_of
from irp_training.domain.reducing.quantise import RECIPES, quantise
from sqlalchemy import MetaData

from .room import World, a_volume, living, segment, until_version
from .room import a_bundle as a_room_bundle
from .test_engine_processes import a_bundle, images
from .test_serving_room import ADMIN

INT8, BFLOAT16 = "int8", "bfloat16"
REF = ObjectRef(bucket="irp-training", key="k", sha256="0" * 64, size=1, media_type="application/zip")


def a_word(precision: Any = INT8, **changes: Any) -> Guarded:
    word = Guarded(precision=precision, accepted=True, engine="openvino", speedup=1.4, artefact=REF)
    return dataclasses.replace(word, **changes)


@pytest.mark.parametrize(
    ("wish", "said", "served"),
    [
        ("float32", [a_word()], None),
        ("int8", [a_word()], INT8),
        ("int8", [], None),
        ("int8", [a_word(BFLOAT16)], None),
        ("int8", [a_word(accepted=False)], None),
        ("int8", [a_word(), a_word(accepted=False)], None),  # two versions of the same bytes: one refusal is enough
        ("int8", [a_word(engine="torch")], None),
        ("int8", [a_word(artefact=None)], None),
        ("bfloat16", [a_word(BFLOAT16, artefact=None)], BFLOAT16),
        ("auto", [a_word(), a_word(BFLOAT16, speedup=1.7)], BFLOAT16),
        ("auto", [a_word(), a_word(BFLOAT16, speedup=0.6)], INT8),
        ("auto", [a_word(speedup=1.01)], None),
        ("auto", [], None),
    ],
)
def test_only_what_was_accepted_for_this_engine_is_chosen(wish: Any, said: list[Guarded], served: str | None) -> None:
    chosen, note = choose(wish, said, "openvino")
    assert (chosen.precision if chosen else None) == served
    assert bool(note) == (served is None and wish not in {"float32", "auto"})


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def networks() -> tuple[bytes, OpenVinoEngine]:
    graph = quantise(graphs_of(read_bundle(a_bundle()))["segment"], images(4), RECIPES[0])
    return judged(a_bundle(), graph)


def judged(data: bytes, graph: Any) -> tuple[bytes, OpenVinoEngine]:
    """What the guard would keep of a bundle if its main network were this graph, and an engine with it."""
    engine, probe = OpenVinoEngine({"segment": graph}, "int8", threads=1), probe_inputs((1, 32, 32))
    answers = {"segment": (probe, engine("segment", probe))}
    return write_reduced(Reduced(bundle=sha256_of(data), graphs={"segment": graph_files(graph)}, probe=answers)), engine


class House:
    """Rows, objects, and engines that ask for int8."""

    def __init__(self, database: Database, cache: Path) -> None:
        self.database, self.objects = database, InMemoryObjects()
        self.rows, self.engines = GuardedRows(database), Engines(threads=1, timeout_s=5, cache=cache)
        self.opens = GuardedEngines(self.engines, self.rows, self.objects, "int8")
        self.shelf = Shelf(ServingRows(database), self.objects, self.opens, budget_bytes=1 << 40)
        self.facts = PrecisionFacts(self.rows, self.opens, self.shelf)

    async def put(self, data: bytes, kind: str) -> ObjectRef:
        return await self.objects.put(
            data, project="p", entity="model", id="heart", kind=kind, media_type="application/zip", extension="zip"
        )

    async def say(self, artefact: bytes | None, *, accepted: bool = True, version: int = 1) -> PrecisionGuarded:
        fact = PrecisionGuarded(name="heart", precision="int8", accepted=accepted, engine="openvino", speedup=1.4)
        fact.aggregate.id, fact.aggregate.version = "heart@1/int8", version
        fact.model.name, fact.model.version, fact.model.digest = "heart", 1, sha256_of(a_bundle())
        if artefact is not None:
            fact.artefact.CopyFrom(object_ref_to_proto(await self.put(artefact, "int8")))
        await self.facts.hear_precision_guarded(fact)
        return fact

    async def open(self) -> ProcessNets:
        return await self.opens.open(a_bundle(), read_bundle(a_bundle()))

    async def register(self) -> None:
        row = {"name": "heart", "version": 1, "digest": sha256_of(a_bundle())}
        bundle = dataclasses.asdict(await self.put(a_bundle(), "bundle"))
        async with self.database.transaction() as tx:
            await tx.upsert(MODEL, row | {"bundle": bundle}, keys=("name", "version"))
            champion = {"name": "heart", "version": 1, "aggregate_version": 1}
            await tx.upsert(CHAMPION, champion, keys=("name",))


@pytest.fixture
async def house(database: Database, cache: Path) -> AsyncIterator[House]:
    house = House(database, cache)
    yield house
    await house.shelf.close()
    await house.engines.close()


async def test_what_was_accepted_serves_from_the_networks_that_were_judged(
    house: House, networks: tuple[bytes, OpenVinoEngine]
) -> None:
    artefact, engine = networks
    plain = await house.open()
    assert (plain.precision, plain.precision_note) == (
        "float32",
        "int8 was asked for, and was never judged for this version",
    )
    await house.say(artefact)
    nets = await house.open()
    assert (nets.precision, nets.precision_note) == ("int8", "")
    found = await nets.forward("segment", images())
    assert np.abs(found - engine("segment", images())).max() < 1e-4
    assert np.abs(found - await plain.forward("segment", images())).max() > 1e-4


async def test_what_is_broken_foreign_or_computes_something_else_is_left_for_float32(
    house: House, networks: tuple[bytes, OpenVinoEngine]
) -> None:
    artefact, _ = networks
    whole = read_reduced(artefact, sha256_of(a_bundle()))
    inputs, logits = whole.probe["segment"]
    foreign = write_reduced(dataclasses.replace(whole, bundle="f" * 64))
    disagreeing = write_reduced(dataclasses.replace(whole, probe={"segment": (inputs, logits + 1)}))
    for number, (data, reason) in enumerate(
        [(foreign, "BUNDLE_BROKEN"), (b"no archive", "BUNDLE_BROKEN"), (disagreeing, "ENGINE_DISAGREES")]
    ):
        await house.say(data, version=1 + number)
        nets = await house.open()
        assert (nets.precision, nets.precision_note.split(": ")[-1]) == ("float32", reason)
    fact = await house.say(artefact, version=9)
    house.objects.stored[fact.artefact.bucket, fact.artefact.key] = b"altered"
    assert "DATA_LOSS" in (await house.open()).precision_note


async def test_an_engine_may_answer_in_any_of_the_ways_that_were_judged(
    house: House, networks: tuple[bytes, OpenVinoEngine]
) -> None:
    whole = read_reduced(networks[0], sha256_of(a_bundle()))
    inputs, logits = whole.probe["segment"]
    for number, (ways, served) in enumerate([((1, 0), "int8"), ((0, 1), "int8"), ((1, 2), "float32")]):
        stacked = np.stack([logits + way for way in ways])
        await house.say(
            write_reduced(dataclasses.replace(whole, probe={"segment": (inputs, stacked)})), version=number + 1
        )
        assert (await house.open()).precision == served


async def test_facts_that_come_twice_or_late_change_nothing(
    house: House, networks: tuple[bytes, OpenVinoEngine]
) -> None:
    fact = await house.say(networks[0], version=3)
    before = await house.rows.of(fact.model.digest)
    await house.facts.on_precision_guarded(fact)
    await house.say(None, accepted=False, version=2)
    assert await house.rows.of(fact.model.digest) == before
    await house.say(None, accepted=False, version=4)
    assert [one.accepted for one in await house.rows.of(fact.model.digest)] == [False]


async def test_a_loaded_version_follows_the_guard_and_who_uses_it_is_not_disturbed(
    house: House, networks: tuple[bytes, OpenVinoEngine]
) -> None:
    await house.register()
    async with house.shelf.use("heart", None) as before:
        await house.say(networks[0])
        assert before.nets.precision == "float32"
        async with house.shelf.use("heart", None) as after:
            assert after.nets.precision == "int8"
            assert after.identity != before.identity  # answers that are remembered are not mixed up
        assert (await before.nets.forward("segment", images())).shape == (2, 3, 32, 32)
    await house.say(None, accepted=False, version=2)
    async with house.shelf.use("heart", None) as last:
        assert (last.nets.precision, "refused" in last.nets.precision_note) == ("float32", True)


async def test_a_room_answers_in_int8_says_so_and_comes_back_with_it(
    world: World, service_settings: ServiceSettings, minter: Any, tmp_path: Path
) -> None:
    data = a_room_bundle(1)
    fact = PrecisionGuarded(name=world.model, precision="int8", accepted=True, engine="openvino")
    fact.aggregate.id, fact.aggregate.version = f"{world.model}@1/int8", 1
    fact.model.name, fact.model.version, fact.model.digest = world.model, 1, sha256_of(data)
    fact.artefact.CopyFrom(
        object_ref_to_proto(await world.put(judged(data, graphs_of(read_bundle(data))["segment"])[0]))
    )
    for begin in (True, False):
        async with living(service_settings, minter, tmp_path / "i.db", precision="int8") as client:
            if begin:
                await world.store(a_volume())
                await world.promote(1, seed=1)
                await until_version(client, world, 1, slices=[0], frames=[0])
                await world.say("training", fact)
            async with asyncio.timeout(30):
                while (answer := await segment(client, world, slices=[0], frames=[0])).provenance.parameters[
                    "precision"
                ] != "int8":
                    await asyncio.sleep(0.05)
            assert answer.provenance.model.version == 1
            act_as(ADMIN)
            listed = await client.call(
                pb_grpc.ServingServiceStub(client.channel).ListVersions, pb.ListVersionsRequest()
            )
            assert [v.precision for v in listed.versions if v.model.name == world.model] == ["int8"]
