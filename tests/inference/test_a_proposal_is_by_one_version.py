"""What you learn here: one version makes a proposal of one volume, and another one makes another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from irp.common.v1.types_pb2 import ObjectRef as ObjectRefMessage
from irp.common.v1.types_pb2 import ProjectRef
from irp_bundle import Located, PipelineReport, Segmented
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_inference.adapters.db import METADATA
from irp_inference.adapters.events import enqueue_proposal
from irp_inference.adapters.proposals import Proposals
from irp_inference.app.ports import SeriesKnown, Ticket
from irp_inference.app.propose_series import ProposeSeries
from irp_inference.app.segment_series import Answer, Wish
from irp_inference.app.whoever_serves import WhoeverServes
from irp_inference.domain.errors import ModelCrashed
from irp_inference.domain.serving import Choice, Policy
from irp_kernel import Geometry, LabelTable, ObjectRef
from irp_kernel.errors import Aborted
from sqlalchemy import MetaData

FRAMES = 4
REF = ObjectRefMessage(bucket="irp-gateway", key="k", sha256="a" * 64, size=1, media_type="application/json")
PROJECT = ProjectRef(id="demo", revision=1, configuration=REF)


def a_volume(letter: str) -> ObjectRef:
    return ObjectRef(bucket="b", key="k", sha256=letter * 64, size=1, media_type="x")


@dataclass
class World:
    """Versions that answer with their number; `then` happens after each frame."""

    champion: int = 1
    canary: int = 0
    volume: ObjectRef = field(default_factory=lambda: a_volume("a"))
    then: Callable[[World, int], None] = lambda world, frame: None
    asked: list[tuple[str, int]] = field(default_factory=list)
    told: list[Answer] = field(default_factory=list)

    async def choice(self, name: str, place: str) -> Choice:
        return Choice(self.canary, "canary") if self.canary else await self.default(name)

    async def default(self, name: str) -> Choice:
        return Choice(self.champion, "champion")

    def policy(self, name: str) -> tuple[Policy, int]:
        return Policy(), 0

    async def segment(self, wish: Wish, ticket: Ticket) -> Answer:
        (frame,), (name, _, version) = wish.frames, wish.model.partition("@")
        self.asked.append((wish.model, frame))
        geometry = Geometry(shape=(2, 4, 4), affine=tuple(map(tuple, np.eye(4))), frames=FRAMES)
        labels, where = np.ones((1, 2, 4, 4), np.uint8), Located(windows=np.zeros((2, 3)), outcomes=(), box=1.0)
        report = PipelineReport(located=where, slices=(0, 1), frames=(frame,))
        model: Any = replace(NAMED, name=name, version=int(version))
        series = SeriesKnown(project="demo", uid="1.2", version=1, volume=self.volume, sequence_class="cine-sax")
        self.then(self, frame)
        return Answer(
            segmented=Segmented(labels=labels, table=LabelTable.canonical(["lv_blood_pool"]), report=report),
            geometry=geometry,
            series=series,
            model=model,
            timings_ms={},
        )

    async def proposed(self, answer: Answer, mask: ObjectRef, revision: dict[str, object]) -> None:
        self.told.append(answer)

    async def propose(self, model: str = "cine") -> None:
        propose = ProposeSeries(self.segment, WhoeverServes(self), InMemoryObjects(), self)
        await propose({"id": "demo"}, "1.2", model, FRAMES)


@dataclass(frozen=True)
class Named:
    name: str = ""
    version: int = 0
    digest: str = "d" * 64


NAMED = Named()


async def test_who_becomes_champion_meanwhile_has_no_part_in_it() -> None:
    def promoted(world: World, frame: int) -> None:
        world.champion = 2

    world = World(then=promoted)
    await world.propose()
    assert world.asked == [("cine@1", frame) for frame in range(FRAMES)]
    assert [answer.model.version for answer in world.told] == [1]


async def test_a_canary_that_fails_in_the_middle_gives_way_for_all_of_it() -> None:
    def crashes(world: World, frame: int) -> None:
        if world.asked[-1] == ("cine@7", 2):
            raise ModelCrashed

    world = World(canary=7, then=crashes)
    await world.propose()
    assert [model for model, _ in world.asked] == ["cine@7"] * 3 + ["cine@1"] * FRAMES
    assert [answer.model.version for answer in world.told] == [1]


async def test_a_series_that_is_replaced_meanwhile_is_not_mixed_with_what_came_before() -> None:
    def replaced(world: World, frame: int) -> None:
        if frame == 1:
            world.volume = a_volume("b")

    world = World(then=replaced)
    with pytest.raises(Aborted):
        await world.propose()
    assert world.told == []
    await world.propose()  # as its job does
    assert [answer.series.volume for answer in world.told] == [a_volume("b")]


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


async def ask(database: Database, by: str, version: int = 1, *, again: bool = True) -> str:
    async with database.transaction() as tx:
        return await enqueue_proposal(tx, PROJECT, "1.2", version, "cine", by=by, again=again)


async def end(database: Database, key: str, state: str, reason: str = "") -> None:
    job = METADATA.tables["job"]
    async with database.transaction() as tx:
        await tx.execute(job.update().where(job.c.key == key).values(state=state, reason=reason, attempts=5))


async def test_what_failed_is_queued_anew_when_somebody_asks(either_database: Database) -> None:
    proposals = Proposals(either_database)
    key = await ask(either_database, "cine@1")
    await end(either_database, key, "failed", "ENGINE_DISAGREES")
    assert await ask(either_database, "cine@1", again=False) == key
    assert (await proposals.state(key)).state == "failed"  # what comes by itself does not insist
    assert await ask(either_database, "cine@1") == key
    told = await proposals.state(key)
    assert (told.state, told.reason) == ("queued", "")


async def test_what_is_done_is_made_again_by_another_version_or_of_another_volume_only(
    either_database: Database,
) -> None:
    proposals = Proposals(either_database)
    key = await ask(either_database, "cine@1")
    await end(either_database, key, "done")
    assert await ask(either_database, "cine@1") == key
    assert (await proposals.state(key)).state == "done"
    for other in (await ask(either_database, "cine@2"), await ask(either_database, "cine@1", version=2)):
        assert other != key
        assert (await proposals.state(other)).state == "queued"
