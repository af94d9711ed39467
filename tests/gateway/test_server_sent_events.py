"""What you learn here: who watches hears what happens, for as long as they may; a slow listener costs no memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from irp.ingest.v1.events_pb2 import SeriesStored
from irp.training.v1.events_pb2 import ModelDrifted, ModelPromoted
from irp_gateway.adapters.events import QUEUE, Event, Listeners, as_sse
from irp_gateway.app.may_stay import MayStay
from irp_kernel.errors import IrpError, ProjectUnknown, Unauthenticated


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


async def test_by_which_site_a_model_drifted_is_for_administrators() -> None:
    listeners = Listeners()
    drift = ModelDrifted(name="cine", by="site", value="kiel", reference=0.91, recent=0.85, p_value=0.001)
    drift.model.name, drift.model.version = "cine", 3
    drift.aggregate.id = "cine@3/site/kiel"
    watching = [listeners.listen("hearts"), listeners.listen("hearts", admin=True)]
    waiting = [asyncio.create_task(anext(one)) for one in watching]  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await listeners.on_fact(drift)
    (_, number, member), (_, _, admin) = [await task for task in waiting]
    assert (member["name"], member["model"]["version"]) == ("cine", "3")
    assert set(member) == {"name", "model"}
    assert "kiel" not in number + str(member)
    assert (admin["by"], admin["value"], admin["recent"]) == ("site", "kiel", 0.85)


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


async def gladly() -> None:
    """Whoever listens may."""


async def silence() -> AsyncIterator[Event]:
    await asyncio.Event().wait()
    yield "never", "0", {}


async def test_silence_is_broken_by_a_heart_beat_and_ended_by_leaving() -> None:
    leaving = asyncio.Event()
    lines = []
    async for line in as_sse(silence(), leaving, gladly, beat_s=0.01):
        lines.append(line)
        if len(lines) == 3:
            leaving.set()
    assert lines[0] == ": listening\n\n"
    assert set(lines[1:]) == {": still here\n\n"}


async def test_a_stream_that_ends_ends_the_answer() -> None:
    async def two() -> AsyncIterator[Event]:
        yield "run", "1", {"state": "running"}
        yield "run", "2", {"state": "succeeded"}

    lines = [line async for line in as_sse(two(), asyncio.Event(), gladly)]
    assert lines[1] == 'id: 1\nevent: run\ndata: {"state": "running"}\n\n'
    assert len(lines) == 3


async def chatter() -> AsyncIterator[Event]:
    while True:
        await asyncio.sleep(0.001)
        yield "run", "1", {}


@pytest.mark.parametrize("refusal", [Unauthenticated, ProjectUnknown])
@pytest.mark.parametrize("events", [silence, chatter])
async def test_a_listener_who_may_not_stay_hears_nothing_after_the_next_heart_beat(
    refusal: type[IrpError], events: Callable[[], AsyncIterator[Event]]
) -> None:
    asked = 0

    async def twice() -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            raise refusal

    lines = [line async for line in as_sse(events(), asyncio.Event(), twice, beat_s=0.02)]
    assert (asked, lines.count(": still here\n\n")) == (3, 2)


async def test_a_listener_hears_on_while_the_database_is_away_and_not_longer_than_that() -> None:
    answers = iter([OSError(), OSError(), None, OSError(), Unauthenticated()])

    async def look() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    lines = [line async for line in as_sse(chatter(), asyncio.Event(), MayStay(look), beat_s=0.02)]
    assert lines.count(": still here\n\n") == 4
