"""What you learn here: a run replays what its base learnt from, what its base's base did, and so on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from irp_chassis.db import Database
from irp_training.adapters.db import METADATA
from irp_training.app.start_run import MOST_REPLAYED, Wish
from irp_training.domain.datasets.inclusion import Rules
from irp_training.domain.datasets.placing import Placement
from irp_training.domain.errors import NothingToReplay
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import ModelRef, Run
from run_builders import a_room
from sqlalchemy import MetaData
from training_builders import a_case, a_ref

REPLAYING = '{"replay": 0.5}'


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Line:
    """Versions of one name, each taught on a patient of its own."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def begin(self) -> None:
        self.store, self.start, _, self.project = await a_room(self.database, None)

    async def learn(self, patient: int, base: str = "", recipe: str = "") -> Run:
        """A run whose version is registered at once."""
        case = replace(a_case(100 + patient), site=f"site of {patient}", judged={"lv_blood_pool": 1})
        taught = {case.patient: Placement(part="training", site=case.site, scanner="")}
        async with self.store.change() as change:
            await change.remember_case("demo", case)
            await change.settle("demo", "", taught, {})
        wish = Wish(model="line", base=base, recipe=recipe, request_id=case.patient, rules=Rules(sites=(case.site,)))
        run = await self.start(self.project, wish)
        await self.register(("demo", run.id), f"bundle {patient}")
        return run

    async def register(self, run: tuple[str, str] | None, bundle: str) -> Model:
        ref = a_ref(bundle.encode())
        model = Model(
            ref=ModelRef(name="line", version=0, digest=ref.sha256),
            bundle=ref,
            created_at="2026-01-01T00:00:00Z",
            actor="somebody",
            licence="",
            figures="{}",
            structures=("lv_blood_pool",),
            run=run,
        )
        async with self.store.change() as change:
            return await change.add_model(model)


@pytest.fixture
async def line(database: Database) -> Line:
    line = Line(database)
    await line.begin()
    return line


async def test_the_whole_line_is_replayed_also_where_a_run_of_it_replayed_nothing(line: Line) -> None:
    first, second = await line.learn(1), await line.learn(2, "line@1")
    third = await line.learn(3, "line@2", REPLAYING)
    assert [row.digest for row in third.replay] == [second.dataset.digest, first.dataset.digest]
    assert second.replay == ()
    fourth = await line.learn(4, "line@3", REPLAYING)
    assert [row.digest for row in fourth.replay] == [third.dataset.digest, *(row.digest for row in third.replay)]


async def test_of_a_long_line_the_newest_datasets_are_replayed(line: Line) -> None:
    runs = [await line.learn(1)]
    for number in range(2, MOST_REPLAYED + 3):
        runs.append(await line.learn(number, f"line@{number - 1}"))
    last = await line.learn(MOST_REPLAYED + 3, f"line@{MOST_REPLAYED + 2}", REPLAYING)
    assert [row.digest for row in last.replay] == [run.dataset.digest for run in runs[: -MOST_REPLAYED - 1 : -1]]


async def test_the_line_ends_where_a_model_was_pushed(line: Line) -> None:
    await line.register(None, "from elsewhere")
    with pytest.raises(NothingToReplay):
        await line.learn(1, "line@1", REPLAYING)
    second = await line.learn(2, "line@1")
    third = await line.learn(3, "line@2", REPLAYING)
    assert [row.digest for row in third.replay] == [second.dataset.digest]
