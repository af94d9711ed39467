"""What you learn here: models come and go under load without a failed request, and what is held is never closed."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from irp.inference.v1.inference_service_pb2 import ListLoadedRequest
from irp_bundle import Bundle
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_inference.adapters.db import CHAMPION, METADATA, MODEL
from irp_inference.adapters.rpc import InferenceServicer
from irp_inference.adapters.serving_rows import ServingRows
from irp_inference.adapters.shelf import Shelf
from irp_inference.app.answer_series import AnswerSeries
from irp_inference.app.ports import Lane, Loaded, Ticket
from irp_inference.app.segment_series import Wish
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.errors import EngineDisagrees, ModelAltered, ModelCrashed, ModelsTooLarge
from irp_inference.domain.serving import Policy, Share
from irp_kernel.errors import ModelUnknown
from sqlalchemy import MetaData

from .batching_engine import CountingNets
from .test_engine_processes import a_bundle

SIZE = 100


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Nets(CountingNets):
    """Closed once, and never while it is held."""

    memory_bytes = SIZE

    def __init__(self, digest: str) -> None:
        super().__init__()
        self.digest, self.closed = digest, 0

    async def close(self) -> None:
        self.closed += 1


class Engines:
    """Opens every bundle but those it was told to refuse."""

    def __init__(self) -> None:
        self.opened: list[Nets] = []
        self.refused: set[str] = set()

    async def open(self, data: bytes, bundle: Bundle) -> Nets:
        await asyncio.sleep(0)
        if bundle.digest in self.refused:
            raise EngineDisagrees
        self.opened.append(Nets(bundle.digest))
        return self.opened[-1]


class World:
    """Rows, objects, engines and the shelf over them."""

    def __init__(self, database: Database, objects: InMemoryObjects, budget: int) -> None:
        self.database, self.objects, self.engines, self.rows = database, objects, Engines(), ServingRows(database)
        self.shelf = self.a_shelf(budget)

    def a_shelf(self, budget: int = 1_000_000) -> Shelf:
        return Shelf(self.rows, self.objects, self.engines, budget_bytes=budget)

    async def register(self, version: int, name: str = "heart", digest: str = "", size: int = 32) -> str:
        data = a_bundle(version, size)
        ref = await self.objects.put(
            data, project="p", entity="model", id=name, kind="bundle", media_type="application/zip", extension="zip"
        )
        row = {
            "name": name,
            "version": version,
            "digest": digest or ref.sha256,
            "bundle": dataclasses.asdict(ref),
        }
        async with self.database.transaction() as tx:
            await tx.upsert(MODEL, row, keys=("name", "version"))
        return ref.sha256

    async def crown(self, version: int, name: str = "heart") -> None:
        await self.register(version, name)
        async with self.database.transaction() as tx:
            row = {"name": name, "version": version, "aggregate_version": version}
            await tx.upsert(CHAMPION, row, keys=("name",))
        await self.shelf.crown(name, version)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    world = World(database, InMemoryObjects(), 3 * SIZE + 50_000)
    yield world
    await world.shelf.close()
    assert all(nets.closed == 1 for nets in world.engines.opened)


async def test_promotions_under_load_fail_no_request_and_a_broken_one_changes_nothing(world: World) -> None:
    await world.crown(1)
    stop, served = asyncio.Event(), list[list[int]]()

    async def reader() -> None:
        mine: list[int] = []
        served.append(mine)
        while not stop.is_set():
            async with world.shelf.use("heart", None) as model:
                nets: Any = model.nets
                await asyncio.sleep(0)
                assert not nets.closed
                mine.append(model.version)

    readers = [asyncio.create_task(reader()) for _ in range(8)]
    for version in (2, 3, 4):
        if version == 3:
            world.engines.refused.add(await world.register(3))
        await world.crown(version)
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*readers)
    for mine in served:
        assert mine == sorted(mine)
        assert set(mine) <= {1, 2, 4}
        assert mine[-1] == 4
    failed = next(status for status in world.shelf.loaded() if status.key == ("heart", 3))
    assert (failed.state, failed.reason) == ("failed", "ENGINE_DISAGREES")


async def test_a_model_that_is_unloaded_ends_with_its_last_user(world: World) -> None:
    await world.crown(1)
    async with world.shelf.use("heart", 1) as model:
        nets: Any = model.nets
        async with world.shelf.use("heart", 1):
            await world.shelf.unload("heart", None)
        await asyncio.sleep(0)
        assert not nets.closed
    await asyncio.sleep(0.01)
    assert nets.closed == 1
    async with world.shelf.use("heart", None) as again:
        assert again.nets is not nets


async def test_the_least_recently_used_makes_room_and_what_is_needed_stays(database: Database) -> None:
    world = World(database, InMemoryObjects(), budget=0)
    weights = len(a_bundle(1)) * 4  # more than any of the tiny bundles weighs
    world.shelf = world.a_shelf(2 * SIZE + weights)
    await world.crown(1)
    for version in (2, 3):
        await world.register(version)
    async with world.shelf.use("heart", 2):
        pass
    assert {status.key[1] for status in world.shelf.loaded()} == {1, 2}
    small = world.a_shelf(SIZE // 2)
    with pytest.raises(ModelsTooLarge):
        async with small.use("heart", 3):
            pass
    await world.shelf.close()


async def test_a_parked_model_is_opened_anew_when_somebody_loads_it(world: World) -> None:
    await world.crown(1)
    first = world.engines.opened[0]
    assert (await world.shelf.load("heart", 1)).nets is first
    first.parked = True
    assert [(status.state, status.reason) for status in world.shelf.loaded()] == [("failed", "MODEL_PARKED")]
    nobody: Any = None
    door = InferenceServicer(nobody, nobody, world.shelf, nobody, nobody)
    (told,) = (await door.ListLoaded(ListLoadedRequest(), nobody)).models
    assert (told.ready, told.parked) == (False, True)
    assert (await world.shelf.load("heart", 1)).nets is not first


async def test_an_altered_bundle_is_not_loaded(world: World) -> None:
    await world.crown(1)
    await world.register(2, digest="f" * 64)
    with pytest.raises(ModelAltered):
        await world.shelf.load("heart", 2)
    await world.shelf.crown("heart", 2)
    assert await world.shelf.champion("heart") == 1


async def test_a_restart_comes_back_with_the_same_models(world: World) -> None:
    await world.crown(1)
    for version in (2, 3):
        await world.register(version)
    await world.shelf.load("heart", 2)
    after = world.a_shelf()
    await after.restore()
    assert {status.key[1]: status.role for status in after.loaded()} == {1: "champion", 2: "kept"}
    await after.unload("heart", 2)
    last = world.a_shelf()
    await last.restore()
    assert {status.key[1] for status in last.loaded()} == {1}
    assert [status.state for status in await last.index()] == ["ready", "unloaded", "unloaded"]
    await asyncio.gather(after.close(), last.close())


async def test_who_asks_for_what_there_is_not_leaves_nothing_behind(world: World) -> None:
    await world.crown(1)
    for version in (7, 8, 9):
        with pytest.raises(ModelUnknown):
            async with world.shelf.use("heart", version):
                pass
    assert [status.key for status in world.shelf.loaded()] == [("heart", 1)]
    assert [status.key for status in await world.shelf.index()] == [("heart", 1)]


async def test_an_older_word_about_serving_is_dropped(world: World) -> None:
    await world.crown(1)
    await world.register(2)
    await world.shelf.configure("heart", Policy(pin=2), 5)
    await world.shelf.configure("heart", Policy(), 4)
    assert (await world.shelf.choice("heart", "1.2")).version == 2
    with pytest.raises(ModelUnknown):
        await world.shelf.choice("nobody", "1.2")


class Segment:
    """Answers with the version it was asked for, and fails where it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Lane]] = []
        self.failing: set[int] = set()

    async def __call__(self, wish: Wish, ticket: Ticket) -> Any:
        self.asked.append((wish.model, ticket.lane))
        version = int(wish.model.split("@")[1])
        if version in self.failing:
            raise ModelCrashed
        nets: Any = CountingNets()
        model = Loaded(name="heart", version=version, digest="", steps=SimpleNamespace(), nets=nets)  # type: ignore[arg-type]
        return SimpleNamespace(model=model, segmented=version, known=False)


async def at_once(work: Any, ticket: Ticket, rows: int = 1) -> Any:
    return {"lv_blood_pool": 0.5}


async def test_a_canary_that_fails_gives_way_and_a_shadow_only_compares(world: World) -> None:
    await world.crown(1)
    for version in (2, 3):
        await world.register(version)
    segment, whoever = Segment(), WhoeverServes(world.shelf)
    answers = AnswerSeries(segment, whoever, at_once)  # type: ignore[arg-type]
    policy = Policy(canary=Share(version=2, percent=100), shadow=Share(version=3, percent=100))
    await world.shelf.configure("heart", policy, 1)
    wish, ticket = Wish(project="p", series_uid="1.2", model="heart"), Ticket(project="p")
    assert (await answers(wish, ticket)).model.version == 2
    await asyncio.sleep(0.01)  # the shadow's turn, after the answer
    segment.failing = {2, 3}
    assert (await answers(wish, ticket)).model.version == 1
    assert whoever.canary_failures["heart"] == 1
    await asyncio.sleep(0.01)
    assert segment.asked[-1] == ("heart@3", Lane.BACKGROUND)
    one, two = answers.comparisons["heart", 2, 3], answers.comparisons["heart", 1, 3]
    assert (one.answers, one.structures["lv_blood_pool"].mean_dice) == (1, 0.5)
    assert (two.answers, two.failures) == (0, 1)
    with pytest.raises(ModelCrashed):  # who asks for a version gets that version, or why not
        await answers(dataclasses.replace(wish, model="heart@2"), ticket)
