"""Facts the gateway hears, and the server-sent events it makes of them; it keeps none."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import SeriesDeleted, SeriesStored
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp.radiomics.v1.events_pb2 import FeaturesExtracted
from irp.training.v1.events_pb2 import ModelDrifted, ModelPromoted, ModelRegistered, RunFinished
from irp_chassis.facts import fact_id

from irp_gateway.adapters.answers import to_dict

HEARD: tuple[type[Message], ...] = (
    SeriesStored,
    SeriesDeleted,
    SeriesAssessed,
    MaskProposed,
    MaskAccepted,
    RunFinished,
    FeaturesExtracted,
    ModelRegistered,
    ModelPromoted,
    ModelDrifted,
)
QUEUE = 256  # events that a slow listener may fall behind; then the oldest are dropped
BEAT_S = 15.0  # seconds of silence after which a comment says that the line is alive

Event = tuple[str, str, dict[str, Any]]  # (name, id, body)


class Listeners:
    """Everybody who watches a project in this process."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[Event]]] = {}

    async def on_fact(self, fact: Message) -> None:
        """Tell the listeners of the fact's project; facts of no project are for everybody."""
        project = getattr(getattr(fact, "project", None), "id", "")
        event = (type(fact).__name__, fact_id(fact), event_body(fact))
        for name, queues in self._queues.items():
            if not project or name == project:
                for queue in queues:
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait(event)

    async def listen(self, project: str) -> AsyncIterator[Event]:
        """Events of a project, from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)
        self._queues.setdefault(project, set()).add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues[project].discard(queue)
            if not self._queues[project]:
                del self._queues[project]


def event_body(fact: Message) -> dict[str, Any]:
    """A fact as people see it: objects by their digest, never by their place in the store."""
    body: dict[str, Any] = _without_places(to_dict(fact))
    if isinstance(project := body.get("project"), dict):
        body["project"] = project["id"]
    return body


def _without_places(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "bucket" in value and "sha256" in value:
        return value["sha256"]
    return {name: _without_places(item) for name, item in value.items()}


async def as_sse(events: AsyncIterator[Event], leaving: asyncio.Event, *, beat_s: float = BEAT_S) -> AsyncIterator[str]:
    """Server-sent events with a heart-beat, until they end or the gateway leaves."""
    yield ": listening\n\n"
    told = asyncio.create_task(leaving.wait())
    coming: asyncio.Task[Event] | None = None
    try:
        while not leaving.is_set():
            coming = coming or asyncio.create_task(_next(events))
            await asyncio.wait({coming, told}, timeout=beat_s, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                yield ": still here\n\n"
                continue
            try:
                name, number, body = coming.result()
            except StopAsyncIteration:
                return
            coming = None
            yield f"id: {number}\nevent: {name}\ndata: {json.dumps(body)}\n\n"
    finally:
        for task in (told, coming):
            if task is not None:
                task.cancel()
        await asyncio.gather(told, *([coming] if coming else []), return_exceptions=True)
        with contextlib.suppress(Exception):
            await events.aclose()  # type: ignore[attr-defined]


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)
