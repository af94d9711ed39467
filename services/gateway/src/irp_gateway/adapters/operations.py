"""What operators ask: audit log, parked facts, missing objects; and who one is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from irp.common.v1 import operations_service_pb2 as pb
from irp_chassis.operations import verify as verify_own
from irp_chassis.wire import object_ref_to_proto
from irp_kernel.errors import IrpError, NotFound
from pydantic import BaseModel

from irp_gateway.adapters.answers import Page, Paging, keyed_page, page, to_dict
from irp_gateway.adapters.audit_rows import AuditLine
from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.visitor import Admin, Visitor
from irp_gateway.domain.cursor import number_of

router = APIRouter(prefix="/api/v1", tags=["operations"], route_class=Door)

LIST_TIMEOUT_S, REPLAY_TIMEOUT_S, VERIFY_TIMEOUT_S = 5.0, 30.0, 24 * 3600.0


class Me(BaseModel):
    """Whom a token speaks for."""

    subject: str
    admin: bool
    project: str
    site: str


class ParkedFact(BaseModel):
    """A fact that a room put aside; or, without a message id, a room that does not answer."""

    room: str
    reason: str
    durable: str = ""
    message_id: str = ""
    subject: str = ""
    failures: int = 0
    at: str = ""
    fact: str = ""


@router.get("/whoami", summary="Who the token speaks for")
async def whoami(identity: Visitor) -> Me:
    """Subject, whether it is an administrator, and the token's bounds."""
    return Me(subject=identity.subject, admin=identity.admin, project=identity.project, site=identity.site)


@router.get("/audit", summary="Who did what to which identifiers, when")
async def audit(admin: Admin, desk: DeskHere, paging: Annotated[Paging, Query()], project: str = "") -> Page[AuditLine]:
    """Append-only, oldest first: every change, refused ones too, and every read of images, masks and values."""
    found = await desk.audit.lines(project=project, after=number_of(paging.cursor), limit=paging.limit + 1)
    return keyed_page(found, [str(line.id) for line in found], paging.limit)


@router.get("/parked", summary="Facts that a room could not handle")
async def parked(admin: Admin, desk: DeskHere, paging: Annotated[Paging, Query()]) -> Page[ParkedFact]:
    """Of every room; a room that does not answer is named with its reason."""
    items: list[ParkedFact] = []
    for room in desk.rooms:
        try:
            answer = await desk.rooms[room].ask("ListParked", pb.ListParkedRequest(), timeout_s=LIST_TIMEOUT_S)
        except IrpError as error:
            items.append(ParkedFact(room=room, reason=error.reason))
            continue
        items += [ParkedFact(room=room, **to_dict(fact)) for fact in answer.facts]
    return page(items, paging.cursor, paging.limit)


@router.post("/parked/replay", summary="Hand parked facts to their rooms again")
async def replay(
    request: Request, admin: Admin, desk: DeskHere, room: str = "", message_id: str = ""
) -> dict[str, int]:
    """All of them, or those of one room, or one; answers the number per room."""
    if room and room not in list(desk.rooms):
        raise NotFound(f"rooms are {', '.join(desk.rooms)}")
    asked = pb.ReplayParkedRequest(message_ids=[message_id] if message_id else [])
    replayed = {}
    for name in [room] if room else list(desk.rooms):
        replayed[name] = (await desk.rooms[name].ask("ReplayParked", asked, timeout_s=REPLAY_TIMEOUT_S)).replayed
    made(request, **replayed)
    return replayed


@router.get(
    "/verify",
    summary="Rows whose objects are missing or broken",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/x-ndjson": {}}}},
)
async def verify(admin: Admin, desk: DeskHere, read: bool = False) -> StreamingResponse:
    """One JSON object per line, then one per room with the number looked at; `read=true` hashes every object."""
    return StreamingResponse(_verify(desk, read), media_type="application/x-ndjson")


async def _verify(desk: Desk, read: bool) -> AsyncIterator[str]:
    checked = 0
    async for number, broken, reason in verify_own(desk.objects, [desk.projects.configurations], read=read):
        checked = number
        if broken is not None:
            yield _line("gateway", pb.VerifyObjectsResponse(broken=object_ref_to_proto(broken), reason=reason))
    yield _line("gateway", pb.VerifyObjectsResponse(checked=checked))
    for room in desk.rooms:
        asked = pb.VerifyObjectsRequest(read=read)
        try:
            async for answer in desk.rooms[room].stream("VerifyObjects", asked, timeout_s=VERIFY_TIMEOUT_S):
                yield _line(room, answer)
        except IrpError as error:
            yield json.dumps({"room": room, "reason": error.reason}) + "\n"


def _line(room: str, answer: pb.VerifyObjectsResponse) -> str:
    return json.dumps({"room": room, **to_dict(answer)}) + "\n"
