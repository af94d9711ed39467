"""What you learn here: who asks for a version shares one load, or one refusal; what is unloaded stays so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from irp_bundle import Bundle
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.opening import Opening
from irp_inference.adapters.serving_rows import ServingRows
from irp_inference.adapters.signatures import Signatures
from irp_inference.domain.errors import EngineDisagrees, ModelCrashed, PassFailed
from irp_inference.domain.refusals import REMEMBERED_S
from irp_kernel.errors import IrpError
from sqlalchemy import MetaData

from .test_shelf import Engines, Nets
from .test_shelf import World as ShelfWorld

KEY = ("heart", 2)


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class GatedEngines(Engines):
    """Counts tries; each waits for the gate, and ends in an error if there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.tries, self.given_up = 0, 0
        self.error: IrpError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.tried = asyncio.Event()

    async def open(self, data: bytes, bundle: Bundle) -> Nets:
        self.tries += 1
        self.tried.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if self.error is not None:
            raise self.error
        return await super().open(data, bundle)

    async def until_tried(self) -> None:
        async with asyncio.timeout(5):
            await self.tried.wait()
        self.tried.clear()


class World(ShelfWorld):
    """Version 1 is the champion, and 2 is registered."""

    gated: GatedEngines

    async def begin(self) -> None:
        self.gated = GatedEngines()
        self.engines = self.gated
        self.shelf = self.a_shelf()
        await self.crown(1)
        await self.register(2)
        self.gated.tries = 0
        self.gated.tried.clear()

    async def asked(self, version: int = 2) -> int:
        async with self.shelf.use("heart", version) as model:
            await asyncio.sleep(0)
            nets = model.nets
            assert isinstance(nets, Nets)
            return nets.closed

    async def until_waited_for_by(self, users: int) -> None:
        async with asyncio.timeout(5):
            while self.shelf.status(KEY).users != users:
                await asyncio.sleep(0.001)

    def state(self) -> tuple[str, str, str]:
        status = self.shelf.status(KEY)
        return status.state, status.reason, status.role

    async def kept_by_rows(self) -> bool:
        return KEY in await self.rows.kept()


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    world = World(database, InMemoryObjects(), 0)
    await world.begin()
    yield world
    await world.shelf.close()
    assert all(nets.closed == 1 for nets in world.gated.opened)


async def reason_of(asked: Callable[[], object]) -> str:
    with pytest.raises(IrpError) as refused:
        await asked()  # type: ignore[misc]
    return refused.value.reason


@pytest.mark.parametrize("error", [EngineDisagrees("stage segment"), PassFailed("it took too long")])
async def test_a_refused_version_is_tried_once_for_all_who_ask_and_not_for_those_who_come_later(
    world: World, error: IrpError
) -> None:
    world.gated.error = error
    world.gated.gate.clear()
    asking = [asyncio.create_task(world.asked()) for _ in range(8)]
    await world.until_waited_for_by(8)
    world.gated.gate.set()
    refused = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in refused} == {type(error)}
    assert world.gated.tries == 1
    with pytest.raises(type(error), match=error.message):
        await world.asked()
    assert world.gated.tries == 1
    assert world.state() == ("failed", error.reason, "")
    world.gated.error = None
    assert await reason_of(world.asked) == error.reason
    await world.shelf.load("heart", 2)  # an admin's word
    assert world.gated.tries == 2
    assert world.state() == ("ready", "", "kept")
    assert await world.asked() == 0


async def test_another_version_with_the_same_bundle_is_refused_with_it(world: World) -> None:
    world.gated.error = EngineDisagrees()
    assert await reason_of(world.asked) == "ENGINE_DISAGREES"
    known = await world.rows.model(KEY)
    assert known
    async with world.database.transaction() as tx:
        await tx.execute(METADATA.tables["model"].update().values(digest=known.digest))
    await world.shelf.unload("heart", 1)
    assert await reason_of(lambda: world.asked(1)) == "ENGINE_DISAGREES"
    assert world.gated.tries == 1


async def test_what_may_pass_is_tried_again_by_who_comes_later(world: World) -> None:
    world.gated.error = ModelCrashed()
    world.gated.gate.clear()
    asking = [asyncio.create_task(world.asked()) for _ in range(8)]
    await world.until_waited_for_by(8)
    world.gated.gate.set()
    assert {type(one) for one in await asyncio.gather(*asking, return_exceptions=True)} == {ModelCrashed}
    assert world.gated.tries == 1
    world.gated.error = None
    assert await world.asked() == 0
    assert world.gated.tries == 2


async def test_a_refusal_is_forgotten_after_a_while(world: World) -> None:
    now = [100.0]
    opening = Opening(ServingRows(world.database), world.objects, world.gated, Signatures(), clock=lambda: now[0])
    known = await opening.find(KEY)
    world.gated.error = EngineDisagrees()
    for _ in range(3):
        with pytest.raises(EngineDisagrees):
            await opening(known, lambda _: None)
        now[0] += REMEMBERED_S / 2
    assert world.gated.tries == 2


async def test_who_leaves_does_not_take_the_load_from_the_others(world: World) -> None:
    world.gated.gate.clear()
    first = asyncio.create_task(world.asked())
    await world.gated.until_tried()
    second = asyncio.create_task(world.asked())
    await world.until_waited_for_by(2)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    world.gated.gate.set()
    assert await second == 0
    assert (world.gated.tries, world.gated.given_up) == (1, 0)


async def test_what_is_unloaded_while_it_is_loaded_ends_with_those_who_waited_for_it(world: World) -> None:
    world.gated.gate.clear()
    asking = [asyncio.create_task(world.asked()) for _ in range(3)]
    loading = asyncio.create_task(world.shelf.load("heart", 2))
    await world.until_waited_for_by(4)
    assert world.state() == ("loading", "", "")
    await world.shelf.unload("heart", 2)
    world.gated.gate.set()
    assert await asyncio.gather(*asking) == [0, 0, 0]  # open while they hold it
    await loading
    assert world.state() == ("unloaded", "", "")
    assert not await world.kept_by_rows()
    assert world.gated.tries == 1


async def test_a_load_that_nobody_waits_for_any_more_is_given_up_when_it_is_unloaded(world: World) -> None:
    world.gated.gate.clear()
    asking = asyncio.create_task(world.asked())
    await world.gated.until_tried()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert world.state() == ("loading", "", "")
    await world.shelf.unload("heart", None)
    await world.shelf.close()
    assert world.gated.given_up == 1
    assert world.state() == ("unloaded", "", "")


async def test_what_is_unloaded_while_it_is_renewed_stays_unloaded(world: World) -> None:
    await world.shelf.load("heart", 2)
    world.gated.tried.clear()
    world.gated.gate.clear()
    renewing = asyncio.create_task(world.shelf.renew(KEY))
    await world.gated.until_tried()
    await world.shelf.unload("heart", 2)
    world.gated.gate.set()
    await renewing
    assert world.state() == ("unloaded", "", "")
    assert not await world.kept_by_rows()


async def test_a_version_that_is_renewed_is_swapped_between_two_requests(world: World) -> None:
    await world.shelf.load("heart", 2)
    async with world.shelf.use("heart", 2) as before:
        await world.shelf.renew(KEY)
        nets = before.nets
        assert isinstance(nets, Nets)
        assert not nets.closed
        async with world.shelf.use("heart", 2) as after:
            assert after.nets is not before.nets
    world.gated.error = EngineDisagrees()
    await world.shelf.renew(KEY)
    assert await world.asked() == 0


async def test_a_room_that_stops_waits_for_no_load(world: World) -> None:
    world.gated.gate.clear()
    asking = asyncio.create_task(world.asked())
    await world.gated.until_tried()
    async with asyncio.timeout(5):
        await world.shelf.close()
    assert world.gated.given_up == 1
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_what_was_kept_and_could_not_be_loaded_is_kept_no_longer_once_it_is_unloaded(world: World) -> None:
    await world.shelf.load("heart", 2)
    after = world.a_shelf()
    world.gated.error = EngineDisagrees()
    await after.restore()
    assert after.status(KEY).reason == "ENGINE_DISAGREES"
    await after.unload("heart", 2)
    assert not await world.kept_by_rows()
    await after.close()
