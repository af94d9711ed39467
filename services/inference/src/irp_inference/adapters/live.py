"""The live door of inference: one stream per reader."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from irp.inference.v1 import live_service_pb2 as pb
from irp.inference.v1 import live_service_pb2_grpc as pb_grpc
from irp_chassis.rpc import caller
from irp_chassis.verdicts import advice_of, title_of
from irp_chassis.wire import project_ref_from_proto
from irp_kernel.errors import IrpError
from prometheus_client import Counter, Gauge

from irp_inference.adapters.compact import response_of, wish_of
from irp_inference.app.live_session import Answered, Dropped, Event, LiveSession, Partly, Refused
from irp_inference.app.segment_series import Segments
from irp_inference.domain.live_queue import Asked

SESSIONS = Gauge("irp_inference_live_sessions", "Readers on the live door")
ENDS = Counter("irp_inference_live_ends_total", "Asks by how they ended", ["end"])
WASTED = Counter("irp_inference_live_wasted_passes_total", "Forward passes that began for asks nobody waited for")
LONGEST_S = 60.0  # that an ask may want to wait


class LiveServicer(pb_grpc.LiveServiceServicer):
    """Wire <-> sessions."""

    def __init__(self, segment: Segments, *, limit: int, ahead: int, deadline_s: float) -> None:
        self._segment, self._limit, self._ahead, self._deadline_s = segment, limit, ahead, deadline_s
        self._sessions: set[LiveSession] = set()

    async def Live(self, requests: Any, context: Any) -> AsyncIterator[pb.LiveResponse]:  # noqa: N802
        """One reader, until they leave or the room does."""
        session = LiveSession(self._segment, limit=self._limit, ahead=self._ahead)
        self._sessions.add(session)
        SESSIONS.set(len(self._sessions))
        tasks = [asyncio.create_task(session.serve()), asyncio.create_task(self._read(requests, session))]
        try:
            async for event in session.events():
                _count(event)
                yield await event_to_proto(event, caller().subject)
        finally:
            self._sessions.discard(session)
            SESSIONS.set(len(self._sessions))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def leave(self, stopping: asyncio.Event) -> None:
        """When the room stops, sessions end: what has begun is answered."""
        await stopping.wait()
        await asyncio.gather(*(session.leave() for session in list(self._sessions)))

    async def _read(self, requests: Any, session: LiveSession) -> None:
        try:
            async for request in requests:
                if request.WhichOneof("what") == "cancel":
                    await session.cancel(request.cancel.id)
                else:
                    await self._ask(request.ask, session)
        finally:
            session.finish()

    async def _ask(self, ask: pb.Ask, session: LiveSession) -> None:
        try:
            caller().require_project(project_ref_from_proto(ask.request.project).id)
            wish = wish_of(ask.request)
        except IrpError as error:
            await session.refuse(ask.id, error)
            return
        wait_s = ask.deadline_s or (self._deadline_s if wish.slices else 0)
        until = time.monotonic() + min(wait_s, LONGEST_S) if wait_s else None  # a whole series takes what it takes
        await session.ask(Asked(id=ask.id, what=wish, keep=ask.keep, ahead=ask.ahead, until=until))


async def event_to_proto(event: Event, subject: str) -> pb.LiveResponse:
    """Event -> message."""
    match event:
        case Answered():
            answer = await asyncio.to_thread(response_of, event.answer, subject, labels=not event.whole)
            return pb.LiveResponse(id=event.id, answer=pb.Answer(segmentation=answer, known=event.answer.known))
        case Partly():
            progress = pb.LiveProgress(done=event.done, total=event.total, eta_s=event.eta_s)
            answer = await asyncio.to_thread(response_of, event.answer, subject)
            return pb.LiveResponse(id=event.id, part=pb.Part(segmentation=answer, progress=progress))
        case Refused():
            return pb.LiveResponse(id=event.id, problem=problem_to_proto(event.error))
        case Dropped():
            return pb.LiveResponse(id=event.id, dropped=pb.Dropped(reason=event.reason))


def problem_to_proto(error: IrpError) -> pb.Problem:
    """An error as the error table says it."""
    return pb.Problem(
        code=error.code.value,
        reason=error.reason,
        title=title_of(error),
        detail=error.message,
        advice=advice_of(error),
        retry_after_s=error.retry_after_s or 0,
    )


def _count(event: Event) -> None:
    match event:
        case Answered():
            ENDS.labels("known" if event.answer.known else "answered").inc()
        case Refused():
            ENDS.labels("problem").inc()
        case Dropped():
            ENDS.labels(event.reason).inc()
            WASTED.inc(event.passes)
