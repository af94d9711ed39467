"""What operators ask: audit log, parked facts, missing objects, problem pages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from irp.common.v1 import operations_service_pb2 as pb
from irp_kernel.errors import IrpError, NotFound, every_error

from irp_gateway.adapters.series import to_dict
from irp_gateway.adapters.visitor import Admin, DeskHere, Visitor

router = APIRouter(tags=["operations"])


@router.get("/api/v1/audit", summary="Who did what, when")
async def audit(admin: Admin, desk: DeskHere, after: int = 0, limit: int = 200) -> dict[str, Any]:
    """Append-only; page on with `after` = `next`."""
    lines = await desk.audit.lines(after=after, limit=min(limit, 1000))
    return {"items": lines, "next": lines[-1]["id"] if lines else None}


@router.get("/api/v1/whoami", summary="Who the token speaks for")
async def whoami(identity: Visitor) -> dict[str, Any]:
    """Subject and whether it is an administrator."""
    return {"subject": identity.subject, "admin": identity.admin}


@router.get("/api/v1/parked", summary="Facts that a room could not handle")
async def parked(admin: Admin, desk: DeskHere) -> dict[str, list[dict[str, Any]]]:
    """Of every room; a room that does not answer is named with its reason."""
    items: list[dict[str, Any]] = []
    for room in desk.rooms:
        line = desk.rooms[room]
        try:
            answer = await line.client.call(line.operations.ListParked, pb.ListParkedRequest(), timeout_s=5)
        except IrpError as error:
            items.append({"room": room, "reason": error.reason})
            continue
        items += [{"room": room, **to_dict(fact)} for fact in answer.facts]
    return {"items": items}


@router.post("/api/v1/parked/replay", summary="Hand parked facts to their rooms again")
async def replay(admin: Admin, desk: DeskHere, room: str = "", message_id: str = "") -> dict[str, int]:
    """All of them, or those of one room, or one."""
    replayed = {}
    for name in [room] if room else list(desk.rooms):
        if name not in list(desk.rooms):
            raise NotFound(f"rooms are {', '.join(desk.rooms)}")
        line = desk.rooms[name]
        asked = pb.ReplayParkedRequest(message_ids=[message_id] if message_id else [])
        replayed[name] = (await line.client.call(line.operations.ReplayParked, asked, timeout_s=30)).replayed
    await desk.audit.write(subject=admin.subject, project="", action="parked.replay", target=room or "*", status=200)
    return replayed


@router.get("/api/v1/verify", summary="Rows whose objects are missing or broken (NDJSON)")
async def verify(admin: Admin, desk: DeskHere, read: bool = False) -> StreamingResponse:
    """`read=true` reads and hashes every object."""
    return StreamingResponse(_verify(desk, read), media_type="application/x-ndjson")


@router.get("/problems/{reason}", summary="What a problem means and what to do", response_class=Response)
async def problem(reason: str) -> Response:
    """The page that a problem's `type` points to."""
    found = next((error for error in every_error() if error.reason == reason), None)
    if found is None:
        raise NotFound("no such problem is described by the gateway; the problem itself says what to do")
    return Response(f"{found.title()}\n\n{found.advice()}\n", media_type="text/plain; charset=utf-8")


async def _verify(desk: Any, read: bool) -> AsyncIterator[str]:
    for room in desk.rooms:
        line = desk.rooms[room]
        try:
            async for answer in line.client.stream(line.operations.VerifyObjects, pb.VerifyObjectsRequest(read=read)):
                yield json.dumps({"room": room, **to_dict(answer)}) + "\n"
        except IrpError as error:
            yield json.dumps({"room": room, "reason": error.reason}) + "\n"
