"""What you learn here: a run that was cut off counts on from its time and at its price, and says what it has cost."""

from __future__ import annotations

import pytest
from irp_chassis.db import Database
from irp_kernel.errors import Unavailable
from irp_training.adapters.db import METADATA
from irp_training.adapters.wire import run_to_proto
from irp_training.app.start_run import Wish
from irp_training.app.train_run import Terms, TrainRun
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.errors import BadRecipe
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.price import Price
from irp_training.domain.run import Progress
from run_builders import a_room
from sqlalchemy import MetaData

EURO = Price(per_hour=7.2, currency="EUR")
OUTCOME = Outcome(
    bundle=b"zip", structures=("lv_blood_pool",), licence="CC0-1.0", figures={}, cases=[],
    remarks=("segment ended after pass 3 of 48: `max_cost` (1 EUR) was reached",),
)  # fmt: skip


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class CutOff:
    """A worker that dies after a report, and comes to an end the second time."""

    def __init__(self) -> None:
        self.plans: list[Plan] = []

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        self.plans.append(plan)
        await listen(Said(progress=Progress(fraction=0.5), spent_s=plan.spent_s + 250.0))
        if len(self.plans) == 1:
            raise Unavailable("the training process ended before its result")
        return OUTCOME


async def test_time_and_price_survive_a_restart_and_the_end_is_told(database: Database) -> None:
    worker = CutOff()
    store, start, train, project = await a_room(database, worker, EURO)
    run = await start(project, Wish(model="cine", recipe='{"max_cost": 1}'))
    with pytest.raises(Unavailable):
        await train("demo", run.id)
    dearer = Terms(threads=1, price=Price(per_hour=99.0, currency="USD"))
    again = TrainRun(store, train._objects, worker, train._finish, dearer, train._files)
    await again("demo", run.id)
    assert [plan.spent_s for plan in worker.plans] == [0.0, 250.0]
    assert {plan.price for plan in worker.plans} == {EURO}
    ended = await store.run("demo", run.id)
    assert (ended.state, ended.message.split("; ")[-1]) == ("succeeded", OUTCOME.remarks[0])
    told = run_to_proto(ended, [])
    assert (told.spent_s, told.cost, told.currency) == (500.0, 1.0, "EUR")


async def test_a_limit_of_cost_needs_a_price(database: Database) -> None:
    _, start, _, project = await a_room(database, CutOff(), Price())
    with pytest.raises(BadRecipe, match="price"):
        await start(project, Wish(model="cine", recipe='{"max_cost": 1}'))
