"""Facts the gateway hears, and the server-sent events it makes of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from google.protobuf.message import Message
from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import SeriesStored
from irp.quality.v1.events_pb2 import SeriesAssessed
from irp.radiomics.v1.events_pb2 import FeaturesExtracted
from irp.training.v1.events_pb2 import ModelPromoted, ModelRegistered, RunFinished

from irp_gateway.adapters.series import to_dict
from irp_gateway.adapters.visitor import AnyMember

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["projects"])

HEARD: tuple[type[Message], ...] = (
    SeriesStored,
    SeriesAssessed,
    MaskProposed,
    MaskAccepted,
    RunFinished,
    FeaturesExtracted,
    ModelRegistered,
    ModelPromoted,
)
QUEUE = 256  # events a slow listener may fall behind; then the oldest are dropped
BEAT_S = 15.0


class Listeners:
    """Everybody who watches a project in this process."""

    def __init__(self) -> None:
        self._queues: dict[str, set[asyncio.Queue[tuple[str, dict[str, Any]]]]] = {}

    async def on_fact(self, fact: Message) -> None:
        """Tell the listeners of the fact's project; facts of no project are for everybody."""
        project = getattr(getattr(fact, "project", None), "id", "")
        event = (type(fact).__name__, to_dict(fact))
        for name, queues in self._queues.items():
            if not project or name == project:
                for queue in queues:
                    if queue.full():
                        queue.get_nowait()
                    queue.put_nowait(event)

    async def listen(self, project: str) -> AsyncIterator[str]:
        """Server-sent events of a project."""
        queue: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue(QUEUE)
        self._queues.setdefault(project, set()).add(queue)
        try:
            yield ": listening\n\n"
            while True:
                try:
                    name, body = await asyncio.wait_for(queue.get(), BEAT_S)
                    yield f"event: {name}\ndata: {json.dumps(body)}\n\n"
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self._queues[project].discard(queue)


LISTENERS = Listeners()


@router.get("/events", summary="What happens in the project (server-sent events)", response_class=StreamingResponse)
async def events(here: AnyMember) -> StreamingResponse:
    """Runs finished, features extracted, models registered and promoted."""
    return StreamingResponse(LISTENERS.listen(here.project.id), media_type="text/event-stream")
