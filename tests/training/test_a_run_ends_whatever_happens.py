"""What you learn here: no run stays for ever.

What would fail again fails at once, what was killed goes on from its checkpoint, five processes that bring nothing end
it, and who cancels waits for nobody.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from engines import BOUNDS
from irp.training.v1 import events_pb2
from irp_chassis.db import Database
from irp_chassis.delivery import PARK_AFTER_RETRIES
from irp_kernel import ObjectRef, encode_mask, encode_volume
from irp_kernel.errors import Unavailable
from irp_training.adapters.db import METADATA
from irp_training.adapters.exchange import WorkerDied
from irp_training.adapters.store import SqlStore
from irp_training.adapters.worker import ProcessWorker
from irp_training.app import train_run
from irp_training.app.attempts import TURNS, WAITS
from irp_training.app.cancel_run import CancelRun
from irp_training.app.start_run import Wish
from irp_training.app.work_ports import CaseFiles, Listener
from irp_training.domain.learning.plan import Outcome, Plan, Said
from irp_training.domain.run import Progress
from run_builders import a_room
from sqlalchemy import MetaData, select
from training_builders import a_heart, tiny_json

WISH = Wish(model="cine", recipe=tiny_json(checkpoint_epochs=1))


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


class Hearts:
    """A heart for every volume, whatever its reference says."""

    async def get(self, ref: ObjectRef) -> bytes:
        volume, mask = a_heart(0)
        return encode_mask(mask) if ref.bucket == "irp-annotation" else encode_volume(volume)


class NoFiles:
    """Paths at which nothing lies: opening them is an error that nobody thought of."""

    async def get(self, ref: ObjectRef) -> Path:
        return Path("/nowhere/mary-miller.nrrd")


class Killed:
    """A worker whose process is killed each time, after so many new checkpoints."""

    def __init__(self, *checkpoints: int) -> None:
        self._checkpoints, self.turns = list(checkpoints), 0

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        self.turns += 1
        for number in range(self._checkpoints.pop(0) if self._checkpoints else 0):
            await listen(Said(progress=Progress(), checkpoint=f"{self.turns} {number}".encode()))
        raise WorkerDied


class Mortal(ProcessWorker):
    """Kills its own process after so many reports, once."""

    def __init__(self, reports: int) -> None:
        super().__init__("cpu", BOUNDS)
        self._left, self.resumed = reports, list[bool]()

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        self.resumed.append(checkpoint is not None)

        async def and_kill(said: Said) -> bool:
            goes_on = await listen(said)
            self._left -= 1
            if self._left == 0:
                for process in self._processes:
                    os.kill(process.pid or 0, signal.SIGKILL)
            return goes_on

        return await super().train(plan, files, checkpoint, and_kill)


class Silent:
    """A worker that never says anything."""

    def __init__(self) -> None:
        self.begun, self.stopped = asyncio.Event(), False

    async def train(self, plan: Plan, files: CaseFiles, checkpoint: bytes | None, listen: Listener) -> Outcome | None:
        self.begun.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            self.stopped = True


async def ends_told(database: Database) -> list[str]:
    outbox = METADATA.tables["outbox"]
    async with database.read() as connection:
        rows = (await connection.execute(select(outbox))).mappings().all()
    facts = [row for row in rows if "run.finished" in row["subject"]]
    return [events_pb2.RunFinished.FromString(row["data"]).state for row in facts]


async def test_what_crashes_ends_the_run_at_once_with_the_kind_of_error_and_no_word_of_its_text(
    database: Database,
) -> None:
    store, start, train, project = await a_room(database, ProcessWorker("cpu", BOUNDS), files=NoFiles())
    run = await start(project, WISH)
    await train("demo", run.id)
    ended = await store.run("demo", run.id)
    assert (ended.state, ended.reason, ended.message) == ("failed", "WORK_CRASHED", "FileNotFoundError")
    assert len(await ends_told(database)) == 1


async def test_a_killed_process_goes_on_from_its_checkpoint_in_the_next_turn(database: Database) -> None:
    worker = Mortal(reports=3)
    store, start, train, project = await a_room(database, worker, files=Hearts())
    run = await start(project, WISH)
    with pytest.raises(WorkerDied):
        await train("demo", run.id)
    waiting = await store.run("demo", run.id)
    assert (waiting.state, waiting.checkpoint is not None, waiting.turns) == ("queued", True, 0)
    await train("demo", run.id, turn=2)
    assert (await store.run("demo", run.id)).state == "succeeded"
    assert worker.resumed == [False, True]


async def test_five_processes_that_bring_no_checkpoint_are_enough_and_the_end_is_told(database: Database) -> None:
    worker = Killed()
    store, start, train, project = await a_room(database, worker)
    run = await start(project, WISH)
    for turn in range(1, TURNS):
        with pytest.raises(WorkerDied):
            await train("demo", run.id, turn=turn)
        assert not (await store.run("demo", run.id)).ended
    await train("demo", run.id, turn=TURNS)
    ended = await store.run("demo", run.id)
    assert (ended.state, ended.reason, worker.turns) == ("failed", "WORKER_DIED", TURNS)
    assert len(await ends_told(database)) == 1


async def test_a_room_that_is_killed_with_its_process_counts_too(database: Database) -> None:
    worker = Silent()
    store, start, train, project = await a_room(database, worker)
    run = await start(project, WISH)
    for _ in range(TURNS):
        worker.begun.clear()
        work = asyncio.create_task(train("demo", run.id))
        await worker.begun.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    await train("demo", run.id)
    ended = await store.run("demo", run.id)
    assert (ended.state, "stopped before it had ended" in ended.message) == ("failed", True)


async def test_a_run_that_gets_on_outlives_any_number_of_lost_machines(database: Database) -> None:
    worker = Killed(*[0, 0, 0, 1] * 5)
    store, start, train, project = await a_room(database, worker)
    run = await start(project, WISH)
    for turn in range(1, 21):
        with pytest.raises(WorkerDied):
            await train("demo", run.id, turn=turn)
    assert not (await store.run("demo", run.id)).ended


async def test_a_store_that_is_away_before_a_process_begins_is_waited_for_but_not_for_ever(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, start, train, project = await a_room(database, Killed())
    run = await start(project, WISH)

    async def away(ref: ObjectRef) -> bytes:
        raise Unavailable

    monkeypatch.setattr(train._objects, "get", away)
    for turn in (1, TURNS, TURNS + 1, WAITS - 1):
        with pytest.raises(Unavailable):
            await train("demo", run.id, turn=turn)
    assert (await store.run("demo", run.id)).turns == 0
    await train("demo", run.id, turn=WAITS)
    assert (await store.run("demo", run.id)).reason == "UNAVAILABLE"
    assert WAITS <= PARK_AFTER_RETRIES  # after which nobody takes it up


async def test_what_nobody_thought_of_ends_the_run_at_its_fifth_turn(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, start, train, project = await a_room(database, Killed())
    run = await start(project, WISH)

    async def broken(*_: Any) -> None:
        raise KeyError("mary miller")

    monkeypatch.setattr(train, "_keep_apart", broken)
    with pytest.raises(KeyError):
        await train("demo", run.id, turn=TURNS - 1)
    await train("demo", run.id, turn=TURNS)
    ended = await store.run("demo", run.id)
    assert (ended.state, ended.reason, "mary" in ended.message) == ("failed", "INTERNAL", False)


def cancel(store: SqlStore) -> CancelRun:
    return CancelRun(store, lambda: "2026-01-01T00:00:00Z")


async def test_a_cancel_ends_a_run_whose_process_has_said_nothing_yet(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_run, "LOOK_S", 0.05)
    worker = Silent()
    store, start, train, project = await a_room(database, worker)
    run = await start(project, WISH)
    work = asyncio.create_task(train("demo", run.id))
    await worker.begun.wait()
    await cancel(store)(project, run.id)
    await asyncio.wait_for(work, 10.0)
    assert worker.stopped
    assert (await store.run("demo", run.id)).state == "cancelled"


async def test_the_time_of_a_process_that_said_nothing_counts_however_it_ended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_run, "LOOK_S", 0.05)
    worker = Silent()
    store, start, train, project = await a_room(database, worker)
    run = await start(project, WISH)
    spent_s = 0.0
    for _ in range(2):
        worker.begun.clear()
        work = asyncio.create_task(train("demo", run.id))
        await worker.begun.wait()
        await asyncio.sleep(0.5)
        work.cancel()  # as if the room were killed: nobody writes anything any more
        await asyncio.gather(work, return_exceptions=True)
        before_s, spent_s = spent_s, (await store.run("demo", run.id)).spent_s
        assert spent_s > before_s + 0.1


async def test_a_cancel_ends_a_run_at_once_that_waits_for_its_next_turn(database: Database) -> None:
    worker = Killed()
    store, start, train, project = await a_room(database, worker)
    run = await start(project, WISH)
    with pytest.raises(WorkerDied):
        await train("demo", run.id)
    assert (await cancel(store)(project, run.id)).state == "cancelled"
    await train("demo", run.id, turn=2)
    assert worker.turns == 1
    assert len(await ends_told(database)) == 1


async def test_a_cancel_asked_of_a_run_whose_machine_was_lost_ends_it_before_a_process_begins(
    database: Database,
) -> None:
    worker = Silent()
    store, start, train, project = await a_room(database, worker)
    run = await start(project, WISH)
    work = asyncio.create_task(train("demo", run.id))
    await worker.begun.wait()
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    worker.begun.clear()
    assert (await cancel(store)(project, run.id)).state == "running"
    await train("demo", run.id, turn=2)
    assert (await store.run("demo", run.id)).state == "cancelled"
    assert not worker.begun.is_set()
