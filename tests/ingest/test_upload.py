"""What you learn here: what uploads hold in memory is bounded, and given back however an upload ends."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_ingest.adapters import memory
from irp_ingest.adapters.memory import MemoryBudget
from irp_ingest.adapters.upload import TakeUpload
from irp_ingest.app import open_series
from irp_ingest.app.open_series import OpenSeries
from irp_ingest.app.outcome import Outcome

LIMIT = 1000


class Series:
    """An index that remembers until when a series was kept open."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def wait_until(self, _project: str, _series_uids: list[str], quiet_until: float) -> None:
        self.waits.append(round(quiet_until - time.time()))


class Store:
    """Stores by counting; may be told to wait or to fail."""

    def __init__(self) -> None:
        self.index = Series()
        self.taken: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()
        self.fails = False

    async def __call__(self, data: bytes, *_: Any) -> Outcome:
        await self.open.wait()
        if self.fails:
            raise ConnectionError
        self.taken.append(data)
        return Outcome(sop_uid=str(len(data)), series_uid="1.2")

    def series(self, _project: Any, quiet_s: float, *, more: bool) -> OpenSeries:
        return OpenSeries(self.index, "hearts", quiet_s, more=more)  # type: ignore[arg-type]

    async def refuse(self, _project: Any, refused: Any) -> Outcome:
        return Outcome(failure=1, reason=refused.reason)


async def pieces(*files: bytes, end: bool = True) -> AsyncIterator[pb.StoreInstancesRequest]:
    for number, file in enumerate(files, start=1):
        yield pb.StoreInstancesRequest(begin=True)
        for at in range(0, len(file), 100):
            yield pb.StoreInstancesRequest(data=file[at : at + 100])
        if end or number < len(files):
            yield pb.StoreInstancesRequest(end=True)


def a_taker(store: Store, budget: MemoryBudget, *, limit_bytes: int = 600) -> TakeUpload:
    return TakeUpload(store, budget, limit_bytes=limit_bytes, in_flight=2)  # type: ignore[arg-type]


async def take(store: Store, budget: MemoryBudget, stream: Any) -> list[Outcome]:
    return await a_taker(store, budget)(stream, None, None, 0.0)  # type: ignore[arg-type]


async def test_files_are_put_together_and_answered_in_order() -> None:
    store, budget = Store(), MemoryBudget(LIMIT)
    outcomes = await take(store, budget, pieces(b"a" * 250, b"", b"c" * 601, b"d" * 600))
    assert [o.sop_uid or o.reason for o in outcomes] == ["250", "0", "INSTANCE_TOO_LARGE", "600"]
    assert budget._free == LIMIT


async def test_a_cut_file_is_refused_and_forgotten() -> None:
    store, budget = Store(), MemoryBudget(LIMIT)
    outcomes = await take(store, budget, pieces(b"a", b"b" * 300, end=False))
    assert [o.reason for o in outcomes] == ["", "UPLOAD_CUT_OFF"]
    assert (store.taken, budget._free) == ([b"a"], LIMIT)


async def test_pieces_outside_a_file_are_dropped() -> None:
    async def stray() -> AsyncIterator[pb.StoreInstancesRequest]:
        yield pb.StoreInstancesRequest(data=b"stray")
        yield pb.StoreInstancesRequest(end=True)
        async for piece in pieces(b"whole"):
            yield piece

    store, budget = Store(), MemoryBudget(LIMIT)
    await take(store, budget, stray())
    assert store.taken == [b"whole"]


async def test_a_cancelled_upload_gives_its_memory_back() -> None:
    store, budget = Store(), MemoryBudget(LIMIT)
    store.open.clear()
    task = asyncio.create_task(take(store, budget, pieces(*[b"x" * 200] * 5)))
    await asyncio.sleep(0.05)
    assert budget._free < LIMIT
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert budget._free == LIMIT


async def test_a_store_that_fails_ends_the_upload_and_gives_its_memory_back() -> None:
    store, budget = Store(), MemoryBudget(LIMIT)
    store.fails = True
    with pytest.raises(ConnectionError):
        await take(store, budget, pieces(b"x" * 200, b"y" * 200))
    assert budget._free == LIMIT


async def test_a_file_that_gets_no_memory_is_refused_and_the_upload_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "WAIT_S", 0.1)
    store, budget = Store(), MemoryBudget(LIMIT)
    await budget.take(800)
    outcomes = await take(store, budget, pieces(b"x" * 300, b"y" * 100))
    assert [o.reason for o in outcomes] == ["MEMORY_FULL", ""]
    await budget.give(800)
    assert budget._free == LIMIT


async def test_a_file_waits_for_memory_that_another_upload_gives_back() -> None:
    store, budget = Store(), MemoryBudget(LIMIT)
    await budget.take(900)
    task = asyncio.create_task(take(store, budget, pieces(b"x" * 300)))
    await asyncio.sleep(0.05)
    await budget.give(900)
    assert [o.reason for o in await task] == [""]


async def test_a_series_closes_after_its_upload_ended_and_stays_open_after_one_that_was_cut() -> None:
    store = Store()
    await a_taker(store, MemoryBudget(LIMIT))(pieces(b"a", b"b"), None, None, 2.0)  # type: ignore[arg-type]
    assert store.index.waits == [2]
    await a_taker(store, MemoryBudget(LIMIT))(pieces(b"a"), None, None, 2.0, more=True)  # type: ignore[arg-type]
    assert store.index.waits == [2], "more uploads follow"
    store.fails = True
    with pytest.raises(ConnectionError):
        await take(store, MemoryBudget(LIMIT), pieces(b"c"))
    assert store.index.waits == [2], "the rest may follow: nothing said that the series is complete"


async def test_a_series_is_kept_open_while_a_large_file_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_series, "OPEN_S", 0.03)

    async def slow() -> AsyncIterator[pb.StoreInstancesRequest]:
        async for piece in pieces(b"a"):
            yield piece
        while len(store.index.waits) < 3:
            await asyncio.sleep(0.01)
        async for piece in pieces(b"b"):
            yield piece

    store = Store()
    async with asyncio.timeout(10):
        await take(store, MemoryBudget(LIMIT), slow())
    assert store.taken == [b"a", b"b"]
