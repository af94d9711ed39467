"""What you learn here: what becomes of a run while, and after, the gate measures what it has learnt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from irp_chassis.db import Database
from irp_kernel.errors import IrpError, Unavailable
from irp_training.adapters.db import METADATA
from irp_training.adapters.serving_rows import ServingRows
from irp_training.adapters.store import SqlStore
from irp_training.app import train_run
from irp_training.app.attempts import TURNS
from irp_training.app.cancel_run import CancelRun
from irp_training.app.ports import Project
from irp_training.app.start_run import StartRun, Wish
from irp_training.app.tell_history import TellHistory
from irp_training.app.train_run import TrainRun
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.errors import InspectionTooLong
from irp_training.domain.learning.plan import Outcome, Plan
from irp_training.domain.registry.examined import Examined
from irp_training.domain.registry.registry import champion
from irp_training.domain.run import Run
from run_builders import a_room
from sqlalchemy import MetaData

POOL = "lv_blood_pool"


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Worker:
    """Learns at once, another bundle each time; the gate's measuring does what it is told to first."""

    def __init__(self) -> None:
        self.learnt, self.measured = 0, 1
        self.meanwhile: Callable[[], Awaitable[object]] | None = None

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome:
        self.learnt += 1
        return Outcome(bundle=b"%d" % self.learnt, structures=(POOL,), licence="CC0-1.0", figures={}, cases=[])

    async def examine(self, bundles: Sequence[bytes], files: CaseFiles, listen: Any) -> tuple[Examined, ...]:
        await listen(self.measured)
        if self.meanwhile:
            await self.meanwhile()
        return tuple(Examined(scores={"1.2.1": {POOL: 0.9}}) for _ in bundles)


class Room:
    """A room in which "cine" has a champion that a run of the project made."""

    def __init__(self, store: SqlStore, start: StartRun, train: TrainRun, project: Project, worker: Worker) -> None:
        self.store, self._start, self.train, self.project, self.worker = store, start, train, project, worker
        self._cancel = CancelRun(store, lambda: "2026-01-01T00:00:00Z")

    async def start(self, *, promote: bool = True, again: str = "") -> Run:
        return await self._start(self.project, Wish(model="cine", promote=promote, request_id=again))

    async def cancel(self, run: Run) -> Run:
        return await self._cancel(self.project, run.id)

    async def run(self, run: Run) -> Run:
        return await self.store.run("demo", run.id)

    async def champion(self) -> int | None:
        return champion(await self.store.history("cine"))


@pytest.fixture
async def room(database: Database) -> Room:
    worker = Worker()
    room = Room(*await a_room(database, worker), worker)
    await room.train("demo", (await room.start(again="the first")).id)
    assert await room.champion() == 1
    return room


def failing(error: Exception) -> Callable[[], Awaitable[object]]:
    async def fail() -> None:
        raise error

    return fail


async def test_a_run_tells_how_far_the_gate_is(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train_run, "LOOK_S", 0.02)
    run = await room.start()
    seen = list[str]()

    async def until_it_is_told() -> None:
        async with asyncio.timeout(10):
            while "measured beside" not in (seen[-1] if seen else ""):
                seen.append((await room.run(run)).progress.step)
                await asyncio.sleep(0.01)

    room.worker.meanwhile = until_it_is_told
    await room.train("demo", run.id)
    assert seen[-1] == "measured beside the champion: 1 of 1 series"
    assert (await room.run(run)).progress.step == "succeeded"


async def test_a_cancel_while_the_gate_measures_stops_the_measuring(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_run, "LOOK_S", 0.05)
    begun, stopped = asyncio.Event(), asyncio.Event()

    async def for_ever() -> None:
        begun.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            stopped.set()

    room.worker.meanwhile = for_ever
    run = await room.start()
    work = asyncio.create_task(room.train("demo", run.id))
    await begun.wait()
    assert (await room.cancel(run)).cancel_asked
    await asyncio.wait_for(work, 30.0)
    assert stopped.is_set()
    assert (await room.run(run)).state == "cancelled"
    assert await room.store.versions("cine") == [1]


async def test_a_cancel_that_comes_before_the_gates_last_word_is_registered_is_a_cancel(room: Room) -> None:
    run = await room.start()
    room.worker.meanwhile = lambda: room.cancel(run)
    await room.train("demo", run.id)
    ended = await room.run(run)
    assert (ended.state, ended.promoted, ended.result) == ("cancelled", False, None)
    assert await room.store.versions("cine") == [1]
    assert await room.champion() == 1


@pytest.mark.parametrize(("promote", "state"), [(True, "refused"), (False, "judged")])
async def test_what_cannot_be_measured_is_registered_and_not_promoted(
    room: Room, database: Database, promote: bool, state: str
) -> None:
    room.worker.meanwhile = failing(InspectionTooLong("it took longer than 120 s", limit_s=120.0))
    run = await room.start(promote=promote)
    await room.train("demo", run.id)
    ended, why = await room.run(run), "could not be measured beside cine@1: it took longer than 120 s"
    assert (ended.state, ended.promoted, ended.reason) == ("succeeded", False, "")
    assert ended.message.startswith(f"cine@2 is registered; {why}")
    said = json.loads(ended.gate)
    assert (said["passed"], said["reason"], said["warnings"]) == (False, why, [])
    assert said["dataset"] == ended.dataset.digest
    assert await room.store.versions("cine") == [1, 2]
    assert await room.champion() == 1
    servings = ServingRows(database, lambda: "2026-01-02T00:00:00Z")
    history, _ = await TellHistory(room.store, servings)("cine")
    assert any(one.version == 2 and one.reason == why and one.kind == state for one in history)


async def test_a_part_that_is_down_is_waited_for_before_the_gate_gives_up(room: Room) -> None:
    room.worker.meanwhile = failing(Unavailable())
    run = await room.start()
    for turn in range(1, TURNS):
        with pytest.raises(Unavailable):
            await room.train("demo", run.id, turn=turn)
        assert await room.store.versions("cine") == [1]
    await room.train("demo", run.id, turn=TURNS)
    assert (await room.run(run)).state == "succeeded"
    assert await room.store.versions("cine") == [1, 2]
    assert await room.champion() == 1


async def test_nothing_of_an_unknown_failure_is_told(room: Room) -> None:
    room.worker.meanwhile = failing(KeyError("mary-miller"))
    run = await room.start()
    for turn in range(1, TURNS):
        with pytest.raises(KeyError):
            await room.train("demo", run.id, turn=turn)
    await room.train("demo", run.id, turn=TURNS)
    ended = await room.run(run)
    assert ended.state == "succeeded"
    assert "mary" not in ended.message + ended.gate
    assert IrpError().message in ended.message
