"""The answer that goes on: server-sent events for a member, for as long as they are one."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.responses import StreamingResponse

from irp_gateway.adapters import events
from irp_gateway.adapters.visitor import Inside
from irp_gateway.app.may_stay import MayStay


def tell(request: Request, here: Inside, coming: AsyncIterator[events.Event]) -> StreamingResponse:
    """The stream of what comes; it ends within a heart-beat of a revoked token, or of a membership that ended.

    And after some minutes in which neither could be looked up: see MayStay.
    """
    authorization, desk = request.headers.get("authorization", ""), here.desk

    async def look() -> None:
        await desk.enter(await desk.identify(authorization), here.project.id)

    stream = events.as_sse(coming, desk.leaving, MayStay(look), beat_s=events.BEAT_S)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
