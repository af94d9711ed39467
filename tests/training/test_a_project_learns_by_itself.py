"""What you learn here: runs begin by themselves after so many masks, or by the clock, each moment once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from irp_chassis.db import Database
from irp_chassis.testing.twins import InMemoryObjects
from irp_kernel.errors import IrpError
from irp_training.adapters.change import AUTOMATIC_JOB
from irp_training.adapters.db import METADATA
from irp_training.adapters.store import SqlStore
from irp_training.adapters.wire_datasets import policy_to_proto
from irp_training.app.configuration import Configurations
from irp_training.app.create_dataset import CreateDataset
from irp_training.app.keep_apart import KeepApart
from irp_training.app.keep_schedule import KeepSchedule
from irp_training.app.ports import Project
from irp_training.app.remember_mask import RememberMask
from irp_training.app.remember_project import RememberProject
from irp_training.app.start_automatic_run import StartAutomaticRun
from irp_training.app.start_run import StartRun
from irp_training.app.tell_policy import TellPolicy
from irp_training.domain.datasets.automation import TrainByItself
from irp_training.domain.datasets.schedule import Schedule
from sqlalchemy import MetaData, select
from training_builders import a_case, a_ref

NOON = 1_795_780_800.0  # 2026-11-27 12:00 UTC
HOUR, DAY = 3600.0, 86400.0


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class World:
    """A project, a clock that is set by hand, and the jobs that were queued."""

    def __init__(self, database: Database) -> None:
        self.database, self.store, self.objects, self.time = database, SqlStore(database), InMemoryObjects(), NOON
        self.configurations = Configurations(self.objects)
        self.revision = self.masks = 0

    async def declare(self, **train: Any) -> None:
        """A new revision with this `automation.train`."""
        document = {"automation": {"train": {"model": "cine", "base": "cine", **train}}}
        self.revision += 1
        ref = await self.objects.put(
            json.dumps(document).encode(), project="demo", entity="e", id="i", kind="k",
            media_type="application/json", extension="json",
        )  # fmt: skip
        self.project = Project(id="demo", revision=self.revision, configuration=ref)
        await RememberProject(self.store)(self.project)

    async def accept(self, number: int = 1, patient: str = "") -> None:
        for _ in range(number):
            self.masks += 1
            case = replace(a_case(self.masks, patient=patient), judged={"lv_blood_pool": 3})
            await RememberMask(self.store, self.configurations)(self.project, case)

    async def look(self, hours: float = 0.0) -> list[str]:
        """Two replicas look at the clock, so many hours later; every run that was queued up to now."""
        self.time += hours * HOUR
        replicas = [KeepSchedule(self.store, self.configurations, lambda: self.time) for _ in range(2)]
        await asyncio.gather(*(replica() for replica in replicas))
        return await self.queued()

    async def queued(self) -> list[str]:
        table = METADATA.tables["job"]
        async with self.database.read() as connection:
            query = select(table.c.key).where(table.c.kind == AUTOMATIC_JOB).order_by(table.c.created_at)
            return list((await connection.execute(query)).scalars())

    async def policy(self) -> Any:
        return policy_to_proto(await TellPolicy(self.store, self.configurations, lambda: self.time)(self.project))


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.mark.parametrize(
    ("wish", "following"),
    [
        ({"every_hours": 6}, NOON + 6 * HOUR),
        ({"every_hours": 5}, NOON + 2 * HOUR),
        ({"daily_at": "12:00"}, NOON + DAY),
        ({"daily_at": "12:01"}, NOON + 60),
        ({"daily_at": "02:30"}, NOON + 14.5 * HOUR),
    ],
)
def test_the_next_moment_is_the_same_for_everybody_who_asks(wish: dict[str, Any], following: float) -> None:
    schedule = Schedule.from_wish(wish)
    assert schedule is not None
    assert schedule.next_after(NOON) == following
    assert schedule.next_after(following - 1) == following


def test_nothing_begins_by_itself_where_nothing_says_when() -> None:
    for train in (None, {}, {"model": "cine"}, {"after_masks": 5}):
        assert TrainByItself.from_configuration({"automation": {"train": train}}) is None


async def test_where_no_model_is_named_nothing_begins_and_the_policy_shows_it(world: World) -> None:
    await world.declare(model="", after_masks=2, every_hours=6)
    await world.accept(3)
    assert await world.look(12) == []
    said = await world.policy()
    assert (said.declared, said.model, said.next_at, said.masks_since_run) == (True, "", "", 3)


async def test_a_run_begins_after_so_many_masks_of_enough_patients(world: World) -> None:
    await world.declare(after_masks=2, least_patients=2)
    await world.accept(3, patient="one")
    assert await world.queued() == []
    said = await world.policy()
    assert (said.masks_missing, said.patients_missing, said.next_at) == (0, 1, "")
    await world.accept(1, patient="two")
    assert len(await world.queued()) == 1
    assert (await world.policy()).masks_missing == 2


async def test_what_is_accepted_while_the_project_is_paused_is_counted_on(world: World) -> None:
    await world.declare(after_masks=2, every_hours=6, paused=True)
    await world.accept(3)
    assert await world.look(12) == []
    assert (await world.policy()).paused
    await world.declare(after_masks=2)
    await world.accept()
    assert len(await world.queued()) == 1


async def test_each_moment_of_a_schedule_begins_one_run_however_many_look(either_database: Database) -> None:
    world = World(either_database)
    await world.declare(daily_at="14:00")
    await world.accept()
    assert await world.look() == []  # the first moment is yet to come
    assert (await world.policy()).next_at == "2026-11-27T14:00:00+00:00"
    assert await world.look(1.9) == []
    first = await world.look(0.2)
    assert first == [f"demo/at-{NOON + 2 * HOUR:.0f}"]
    assert await world.look(1) == first
    assert await world.look(24) == first  # nothing new was accepted
    await world.accept()
    assert len(await world.look(24)) == 2


async def test_moments_that_passed_while_nobody_was_there_are_made_up_for_once(world: World) -> None:
    await world.declare(every_hours=1)
    await world.accept()
    await world.look()
    assert len(await world.look(100)) == 1
    await world.accept()
    assert len(await world.look()) == 1
    assert len(await world.look(1)) == 2


async def test_a_changed_schedule_begins_with_its_own_next_moment(world: World) -> None:
    await world.declare(every_hours=1)
    await world.accept()
    await world.look()
    await world.declare(daily_at="11:00")
    assert await world.look(22) == []
    assert len(await world.look(2)) == 1
    await world.declare(after_masks=5)
    assert (await world.policy()).next_at == ""


async def test_a_project_that_cannot_be_read_does_not_stop_the_others(world: World) -> None:
    await RememberProject(world.store)(Project(id="broken", revision=1, configuration=a_ref(b"nowhere")))
    await world.declare(every_hours=1)
    await world.accept()
    for hours in (0, 2):
        with pytest.raises(IrpError):
            await world.look(hours)
    assert len(await world.queued()) == 1


async def test_a_run_that_cannot_begin_by_itself_leaves_its_reason_until_one_can(world: World) -> None:
    create = CreateDataset(world.store, world.objects, world.configurations)
    start = StartRun(world.store, create, KeepApart(world.store, world.objects), lambda: "2026-11-27T12:00:00Z")
    begin = StartAutomaticRun(world.store, world.configurations, start)
    await world.declare(after_masks=1, base="")
    await begin("demo", "too early")
    assert (await world.policy()).refusal == "DATASET_EMPTY"
    await world.accept()
    await begin("demo", "now")
    assert (await world.policy()).refusal == ""
    ((run,), _) = await world.store.page_of_runs("demo", "", 9)
    assert (run.actor, run.promote) == ("training", True)
    await world.declare(after_masks=1, base="", paused=True)
    await begin("demo", "later")
    assert await world.store.page_of_runs("demo", "", 9) == ([run], "")
