"""What you learn here: one search for all who wait, which costs nothing for nobody; no reader waits behind its lane."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from irp_bundle import Located
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.app.drive import Drive
from irp_inference.app.locations import Locations
from irp_inference.app.ports import Lane, Loaded, Ticket
from irp_inference.domain.cache import BytesBoundCache
from irp_kernel.errors import DeadlineExceeded

from .live_builders import CountingNets, FakeSteps, OneVolume, at_once

READER = Ticket(project="demo")
NOBODY = Ticket(project="demo", lane=Lane.BACKGROUND)


class World:
    """Searches on counting nets, of which each pass ends when it may."""

    def __init__(self, linger_s: float = 30.0) -> None:
        self.nets, steps = CountingNets(hold=True), FakeSteps(1)
        typed: Any = steps
        self.model = Loaded(name="heart", version=1, digest="d" * 64, steps=typed, nets=self.nets)
        self.drive = Drive(DynamicBatches(64), at_once)
        self.locations = Locations(BytesBoundCache(10), self.drive, linger_s)

    def find(self, ticket: Ticket = READER, sha256: str = "a") -> asyncio.Task[Located]:
        async def look() -> Located:
            volume: Any = await OneVolume().get(None)  # type: ignore[arg-type]
            return await self.locations.find(sha256, volume, self.model, ticket)

        return asyncio.create_task(look())

    def free(self, passes: int) -> None:
        """So many passes may end."""
        for _ in range(passes):
            self.nets.go.release()

    async def begun(self) -> None:
        async with asyncio.timeout(5):
            await self.nets.begun.get()

    async def occupied(self) -> asyncio.Task[Located]:
        other = self.find(sha256="other")
        await self.begun()
        return other


async def turns(number: int = 20) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def test_all_who_wait_share_one_search() -> None:
    world = World()
    tasks = [world.find() for _ in range(3)]
    await world.begun()
    world.free(9)
    found = await asyncio.gather(*tasks)
    assert found[0] is found[1] is found[2] is await world.find()
    assert len(world.nets.passes) == 1


async def test_an_ask_that_is_taken_back_before_anything_ran_causes_no_pass() -> None:
    world = World()
    other, gone = await world.occupied(), world.find()
    await turns()
    gone.cancel()
    await asyncio.wait({gone})
    await turns()
    world.free(9)
    await other
    await turns()
    assert len(world.nets.passes) == 1


async def test_an_ask_whose_time_is_over_says_so_and_costs_nothing() -> None:
    world = World()
    other = await world.occupied()
    with pytest.raises(DeadlineExceeded):
        await world.find(Ticket(project="demo", until=time.monotonic() + 0.02))
    with pytest.raises(DeadlineExceeded):
        await world.find(Ticket(project="demo", until=time.monotonic() - 1))
    await turns()
    world.free(9)
    await other
    await turns()
    assert len(world.nets.passes) == 1


async def test_a_search_that_has_begun_waits_a_moment_for_the_next_slice() -> None:
    world = World()
    first = world.find()
    await world.begun()
    first.cancel()
    await asyncio.wait({first})
    second = world.find()
    await turns()
    world.free(9)
    await second
    assert len(world.nets.passes) == 1


async def test_a_reader_does_not_wait_in_the_lane_of_a_proposal() -> None:
    world = World()
    proposals = [world.find(NOBODY, sha256=name) for name in "abc"]
    await world.begun()  # the first is on the device, two wait
    reader = world.find(sha256="c")
    await turns()
    world.free(1)
    await world.begun()
    world.free(1)
    await asyncio.wait_for(reader, 5)  # second, though it was asked for last
    assert not proposals[1].done()
    world.free(9)
    await asyncio.gather(*proposals)
    assert len(world.nets.passes) == 3


async def test_who_comes_in_the_moment_in_which_a_search_is_given_up_gets_an_answer() -> None:
    world = World(linger_s=0.0)
    first = world.find()
    await world.begun()
    first.cancel()
    world.free(9)
    for _ in range(12):
        assert await world.find() is not None
        await asyncio.sleep(0)


async def test_a_search_that_fails_fails_for_those_who_waited_and_is_begun_anew() -> None:
    world = World()

    async def fails(*_: Any) -> Any:
        raise ArithmeticError

    works, world.nets.forward = world.nets.forward, fails  # type: ignore[method-assign]
    for task in [world.find(), world.find()]:
        with pytest.raises(ArithmeticError):
            await task
    world.nets.forward = works  # type: ignore[method-assign]
    world.free(9)
    assert await world.find() is not None
