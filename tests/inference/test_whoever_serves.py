"""What you learn here: who names no version is answered by the one that serves, and every door means the same one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import numpy as np
import pytest
from irp_chassis.auth import act_as
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.oip.nets import Nets
from irp_inference.app.answer_series import AnswerSeries
from irp_inference.app.ports import Ticket
from irp_inference.app.segment_series import Wish
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.errors import ModelCrashed, TensorNotUsable
from irp_inference.domain.serving import Policy, Share
from irp_kernel.errors import ModelUnknown
from sqlalchemy import MetaData

from .oip_doors import ADMIN
from .test_shelf import SIZE, Segment, World, at_once

NAME, ME = "heart.segment", Ticket(project="p")
PINNED, CHAMPION, CANARY = 1, 2, 3


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Room:
    """The shelf, what the protocol's doors ask, and who chooses for them."""

    def __init__(self, world: World) -> None:
        self.shelf, self.world = world.shelf, world
        self.whoever = WhoeverServes(world.shelf)
        self.nets = Nets(world.shelf, self.whoever, DynamicBatches())

    async def say(self, policy: Policy) -> None:
        await self.shelf.configure("heart", policy, self.shelf.policy("heart")[1] + 1)

    def break_down(self, version: int) -> None:
        """Every pass of a version fails."""
        loaded = self.shelf.status(("heart", version)).loaded
        assert loaded is not None
        loaded.nets.fail = lambda _: ModelCrashed()  # type: ignore[attr-defined]

    async def served(self, version: str = "", id_: str = "", side: int = 32) -> int:
        """The version that answers one input."""
        images = np.ones((1, 1, side, side), np.float32)
        return (await self.nets.infer(NAME, version, images, ME, id_))[0]

    async def named(self) -> set[int]:
        """Versions of which the calls speak that compute nothing."""
        (counted,) = await self.nets.statistics(NAME, "")
        return {(await self.nets.describe(NAME, "")).version, counted[1]}


@pytest.fixture
async def room(database: Database) -> AsyncIterator[Room]:
    world = World(database, InMemoryObjects(), 10 * SIZE + 500_000)
    for version in (PINNED, CHAMPION):
        await world.crown(version)
    await world.register(CANARY)
    yield Room(world)
    await world.shelf.close()


async def test_without_a_word_every_call_means_the_champion(room: Room) -> None:
    assert (await room.served(), await room.named()) == (CHAMPION, {CHAMPION})
    assert await room.nets.ready(NAME, "")


async def test_with_a_pin_every_call_means_the_pin(room: Room) -> None:
    await room.say(Policy(pin=PINNED))
    await room.shelf.unload("heart", CHAMPION)
    assert await room.nets.ready(NAME, "")
    assert (await room.served(), await room.named()) == (PINNED, {PINNED})
    assert await room.served("champion") == CHAMPION


async def test_a_pin_that_is_not_loaded_gives_way_in_every_call(room: Room) -> None:
    await room.say(Policy(pin=PINNED))
    await room.shelf.unload("heart", PINNED)
    assert (await room.served(), await room.named()) == (CHAMPION, {CHAMPION})


async def test_to_load_a_network_without_a_version_loads_the_one_that_serves(room: Room) -> None:
    await room.say(Policy(pin=PINNED))
    act_as(ADMIN)
    await room.nets.unload(NAME)
    assert not await room.nets.ready(NAME, "")
    await room.nets.load(NAME, ())
    assert await room.nets.ready(NAME, "")
    assert (await room.served(), await room.named()) == (PINNED, {PINNED})


async def test_a_canary_has_its_share_of_requests_and_is_never_what_the_calls_describe(room: Room) -> None:
    await room.say(Policy(pin=PINNED, canary=Share(version=CANARY, percent=25)))
    with_ids = [await room.served(id_=f"request {number}") for number in range(200)]
    assert with_ids == [await room.served(id_=f"request {number}") for number in range(200)]
    without = [await room.served() for _ in range(200)]
    for served in (with_ids, without):
        assert set(served) == {PINNED, CANARY}
        # Binomial with p = 0.25: five standard deviations of 6.1 around 50.
        assert abs(served.count(CANARY) - 50) < 31
    assert await room.named() == {PINNED}
    assert room.whoever.answers["heart"] == Counter([*with_ids, *with_ids, *without])


@pytest.mark.parametrize("pin", [None, PINNED])
async def test_a_canary_that_fails_gives_way_to_the_version_that_serves_by_default(room: Room, pin: int | None) -> None:
    await room.say(Policy(pin=pin, canary=Share(version=CANARY, percent=100)))
    assert await room.served() == CANARY
    room.break_down(CANARY)
    assert await room.served() == (pin or CHAMPION)
    assert room.whoever.canary_failures["heart"] == 1
    with pytest.raises(ModelCrashed):  # who asks for a version gets that version, or why not
        await room.served(str(CANARY))


async def test_a_default_version_that_fails_says_so(room: Room) -> None:
    await room.say(Policy(canary=Share(version=CANARY, percent=100)))
    for version in (CANARY, CHAMPION):
        room.break_down(version)
    with pytest.raises(ModelCrashed):
        await room.served()


async def test_a_canary_of_another_size_leaves_requests_to_the_version_that_they_were_made_for(room: Room) -> None:
    await room.world.register(4, size=64)
    await room.say(Policy(canary=Share(version=4, percent=100)))
    assert (await room.served("4", side=64), await room.served()) == (4, CHAMPION)
    with pytest.raises(TensorNotUsable, match="1, 32, 32"):
        await room.served(side=48)
    assert room.whoever.canary_failures["heart"] == 0


async def test_a_series_whose_canary_fails_is_answered_by_the_pin(room: Room) -> None:
    segment = Segment()
    answers = AnswerSeries(segment, room.whoever, at_once)  # type: ignore[arg-type]
    await room.say(Policy(pin=PINNED, canary=Share(version=CANARY, percent=100)))
    segment.failing = {CANARY, CHAMPION}
    wish = Wish(project="p", series_uid="1.2", model="heart")
    assert (await answers(wish, ME)).model.version == PINNED


async def test_a_digest_asks_its_own_version_and_is_looked_up_once(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = await room.world.register(PINNED)
    assert await room.served(f"sha256:{digest}") == PINNED
    assert await room.shelf.meant(f"heart@sha256:{digest}", "1.2") == f"heart@{PINNED}"
    monkeypatch.setattr(room.world.rows, "number_of", None)  # the database is away
    assert await room.served(f"sha256:{digest}") == PINNED


async def test_nothing_is_loaded_to_tell_of_what_it_has_counted(room: Room) -> None:
    with pytest.raises(ModelUnknown, match="not loaded"):
        await room.nets.statistics(NAME, str(CANARY))
    assert room.shelf.status(("heart", CANARY)).state == "unloaded"
    await room.served(str(CANARY))
    ((_, version, counts),) = await room.nets.statistics(NAME, str(CANARY))
    assert (version, counts.success.count) == (CANARY, 1)
