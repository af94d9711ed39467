"""What you learn here: who watches hears what happens; a slow listener costs no memory; nobody delays leaving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from irp.ingest.v1.events_pb2 import SeriesStored
from irp.training.v1.events_pb2 import ModelPromoted
from irp_gateway.adapters.events import QUEUE, Event, Listeners, as_sse


def a_fact(project: str, uid: str = "1.2") -> SeriesStored:
    fact = SeriesStored()
    fact.project.id, fact.series.series_uid = project, uid
    return fact


async def test_facts_reach_the_listeners_of_their_project_and_models_reach_everybody() -> None:
    listeners = Listeners()
    hearts, lungs = listeners.listen("hearts"), listeners.listen("lungs")
    first = [asyncio.create_task(anext(hearts)), asyncio.create_task(anext(lungs))]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await listeners.on_fact(a_fact("hearts"))
    await listeners.on_fact(ModelPromoted(name="cine"))
    assert [(await task)[0] for task in first] == ["SeriesStored", "ModelPromoted"]
    assert (await anext(hearts))[0] == "ModelPromoted"
    for watching in (hearts, lungs):
        await watching.aclose()  # type: ignore[attr-defined]
    assert listeners._queues == {}


async def test_a_slow_listener_loses_the_oldest_and_never_more_than_the_queue_waits() -> None:
    listeners = Listeners()
    watching = listeners.listen("hearts")
    first = asyncio.create_task(anext(watching))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    for number in range(QUEUE + 10):
        await listeners.on_fact(a_fact("hearts", str(number)))
    assert (await first)[2]["series"]["series_uid"] == "10"
    (queue,) = listeners._queues["hearts"]
    assert queue.qsize() == QUEUE - 1


async def silence() -> AsyncIterator[Event]:
    await asyncio.Event().wait()
    yield "never", "0", {}


async def test_silence_is_broken_by_a_heart_beat_and_ended_by_leaving() -> None:
    leaving = asyncio.Event()
    lines = []
    async for line in as_sse(silence(), leaving, beat_s=0.01):
        lines.append(line)
        if len(lines) == 3:
            leaving.set()
    assert lines[0] == ": listening\n\n"
    assert set(lines[1:]) == {": still here\n\n"}


async def test_a_stream_that_ends_ends_the_answer() -> None:
    async def two() -> AsyncIterator[Event]:
        yield "run", "1", {"state": "running"}
        yield "run", "2", {"state": "succeeded"}

    lines = [line async for line in as_sse(two(), asyncio.Event())]
    assert lines[1] == 'id: 1\nevent: run\ndata: {"state": "running"}\n\n'
    assert len(lines) == 3
