"""Facts the gateway hears, and the server-sent events it makes of them; it keeps none."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from google.protobuf.message import Message
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import SeriesDeleted, SeriesStored
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp.radiomics.v1.events_pb2 import FeaturesExtracted
from irp.training.v1.events_pb2 import ModelDrifted, ModelPromoted, ModelRegistered, RunFinished
from irp_chassis.facts import fact_id
from irp_kernel.errors import IrpError

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
BEAT_S = 15.0  # seconds after which is asked whether the listener may stay; in silence, a comment says so
TOLD_TO_ALL = frozenset({"name", "model"})  # of a drift: by which site or scanner, and how far, is for admins

Event = tuple[str, str, dict[str, Any]]  # (name, id, body)
Stay = Callable[[], Awaitable[object]]
"""Asks whether the listener may still listen; raises an IrpError if not."""


class Listeners:
    """Everybody who watches a project in this process."""

    def __init__(self) -> None:
        self._queues: dict[str, dict[asyncio.Queue[Event], bool]] = {}  # project -> who listens, and is an admin

    async def on_fact(self, fact: Message) -> None:
        """Tell the listeners of the fact's project; facts of no project are for everybody."""
        project = getattr(getattr(fact, "project", None), "id", "")
        name, number, body = type(fact).__name__, fact_id(fact), event_body(fact)
        members_body = _for_members(fact, body)
        for listened, queues in self._queues.items():
            if not project or listened == project:
                for queue, admin in queues.items():
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait((name, number, body if admin else members_body))

    async def listen(self, project: str, *, admin: bool = False) -> AsyncIterator[Event]:
        """Events of a project, from now on."""
        queue: asyncio.Queue[Event] = asyncio.Queue(QUEUE)
        self._queues.setdefault(project, {})[queue] = admin
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues[project].pop(queue)
            if not self._queues[project]:
                del self._queues[project]


def event_body(fact: Message) -> dict[str, Any]:
    """A fact as people see it: objects by their digest, never by their place in the store."""
    body: dict[str, Any] = _without_places(to_dict(fact))
    if isinstance(project := body.get("project"), dict):
        body["project"] = project["id"]
    return body


def _for_members(fact: Message, body: dict[str, Any]) -> dict[str, Any]:
    """What people who are no admins are told: a drift may name a site or a scanner of another project."""
    if not isinstance(fact, ModelDrifted):
        return body
    return {key: value for key, value in body.items() if key in TOLD_TO_ALL}


def _without_places(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_places(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "bucket" in value and "sha256" in value:
        return value["sha256"]
    return {name: _without_places(item) for name, item in value.items()}


async def as_sse(
    events: AsyncIterator[Event], leaving: asyncio.Event, stay: Stay, *, beat_s: float = BEAT_S
) -> AsyncIterator[str]:
    """Server-sent events with a heart-beat, until they end, the listener may not stay, or the gateway leaves."""
    yield ": listening\n\n"
    told = asyncio.create_task(leaving.wait())
    coming: asyncio.Task[Event] | None = None
    beat = time.monotonic() + beat_s
    try:
        while not leaving.is_set():
            coming = coming or asyncio.create_task(_next(events))
            await asyncio.wait({coming, told}, timeout=beat - time.monotonic(), return_when=asyncio.FIRST_COMPLETED)
            if time.monotonic() >= beat:  # however much is told: a busy line must not outlive its leave
                if not await _may(stay):
                    return
                beat = time.monotonic() + beat_s
                yield ": still here\n\n"
            if not coming.done():
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


async def _may(stay: Stay) -> bool:
    try:
        await stay()
    except IrpError:
        return False
    return True


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)
