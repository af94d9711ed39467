"""WebSocket /live: a frontend sends what its reader looks at, and hears labels at once.

Authorisation is that of every other address, before the connection is accepted, and again while it lasts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Coroutine
from enum import IntEnum
from typing import Any

import structlog
from fastapi import APIRouter, WebSocket
from irp_chassis.auth import Caller, act_as
from irp_chassis.http import problem
from irp_kernel.errors import IrpError, Unauthenticated
from pydantic import ValidationError
from starlette.websockets import WebSocketDisconnect

from irp_gateway.adapters.desk import Desk
from irp_gateway.adapters.live_frames import FRAME, MAX_FRAME_BYTES, CancelFrame, SegmentFrame, problem_frame
from irp_gateway.adapters.live_line import LiveLine
from irp_gateway.adapters.visitor import Inside
from irp_gateway.app.may_stay import MayStay
from irp_gateway.domain.errors import FrameNotValid, LiveAskTwice, MembershipNotKnown, TooManyLiveAsks, TooManyReaders
from irp_gateway.domain.live_token import SUBPROTOCOL, authorization_of

router = APIRouter()

AUDITED_ONCE = 1024  # series and models of one session that are remembered
OPEN_ASKS = 64  # of one session, before they have ended
BAD_FRAMES = 20  # then the session is closed
RECHECK_S = 10.0  # a token that is revoked, or a member who is not one any more, is out by then
IDLE_S = 900.0  # without a frame from the reader
SESSIONS_PER_SUBJECT = 8


class Close(IntEnum):
    """Why the gateway closes. Source: RFC 6455 section 7.4; 4000 and more are ours."""

    TOO_LARGE = 1009
    RESTART = 1012
    NOT_UNDERSTOOD = 4400
    TOKEN_INVALID = 4401
    NOT_A_MEMBER = 4403
    IDLE = 4408
    MEMBERSHIP_NOT_KNOWN = 4503


_readers: Counter[str] = Counter()  # sessions of this process by subject


@router.websocket("/api/v1/projects/{project}/live")
async def live(websocket: WebSocket, project: str) -> None:
    """One reader's session."""
    desk: Desk = websocket.app.state.desk
    authorization, offered = authorization_of(websocket.headers, websocket.scope.get("subprotocols", []))
    try:
        here = await _enter(desk, authorization, project)
        if _readers[here.subject] >= SESSIONS_PER_SUBJECT:
            raise TooManyReaders(f"{SESSIONS_PER_SUBJECT} sessions are open", open=SESSIONS_PER_SUBJECT)
    except Exception as error:
        await websocket.send_denial_response(problem(_told(error, "live_not_opened", MembershipNotKnown())))
        return
    _readers[here.subject] += 1
    session = _Session(websocket, here, authorization)
    try:
        await websocket.accept(subprotocol=SUBPROTOCOL if offered else None)
        await session.run()
    finally:
        _readers[here.subject] -= 1
        if not _readers[here.subject]:
            del _readers[here.subject]


def _told(error: Exception, event: str, instead: IrpError) -> IrpError:
    """What the reader is told; of what nobody foresaw, only the operators are told what it was."""
    if isinstance(error, IrpError):
        return error
    structlog.get_logger(part="live").error(event, exc_info=error)
    return instead


async def _enter(desk: Desk, authorization: str, project: str) -> Inside:
    identity = await desk.identify(authorization)
    found, member = await desk.enter(identity, project)
    act_as(Caller(subject=identity.subject, project=found.id, roles=member.roles))
    return Inside(identity, found, member, desk)


class _Session:
    def __init__(self, websocket: WebSocket, here: Inside, authorization: str) -> None:
        self._websocket, self._here, self._authorization = websocket, here, authorization
        self._line = LiveLine(here.desk.rooms["inference"])
        self._may_stay = MayStay(self._enter_again)
        self._heard_at, self._bad = time.monotonic(), 0
        self._audited: dict[tuple[str, str], None] = {}

    async def run(self) -> None:
        """Until the reader leaves, may not stay, or the gateway stops."""
        parts: list[Coroutine[Any, Any, Close | None]] = [self._hear(), self._tell(), self._watch()]
        tasks = [asyncio.create_task(part) for part in parts]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next((task.result() for task in done), None)
            if code is not None:
                await self._websocket.close(code, code.name.lower())
        except (WebSocketDisconnect, RuntimeError):
            pass  # the reader went while something was said to them
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._line.close()

    async def _hear(self) -> Close | None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return None
            self._heard_at = time.monotonic()
            text = message.get("text")
            if text is not None and len(text) > MAX_FRAME_BYTES:
                return Close.TOO_LARGE
            try:
                await self._take(_parse(text))
            except FrameNotValid as error:
                self._bad += 1
                await self._line.said.put((problem_frame(None, error), b""))
                if self._bad >= BAD_FRAMES:
                    return Close.NOT_UNDERSTOOD

    async def _take(self, frame: SegmentFrame | CancelFrame) -> None:
        if isinstance(frame, CancelFrame):
            self._line.cancel(frame.id)
            return
        try:
            self._require(frame)
            await self._audit(frame)
            self._line.ask(frame, frame.to_proto(self._here.ref))
        except Exception as error:  # for example, its line in the audit log could not be written: the session goes on
            await self._line.said.put((problem_frame(frame.id, _told(error, "live_ask_failed", IrpError())), b""))

    def _require(self, frame: SegmentFrame) -> None:
        if frame.id in self._line.open:
            raise LiveAskTwice
        if len(self._line.open) >= OPEN_ASKS:
            raise TooManyLiveAsks(f"{OPEN_ASKS} asks have not ended", open=OPEN_ASKS)

    async def _tell(self) -> Close | None:
        while True:
            header, labels = await self._line.said.get()
            await self._websocket.send_text(json.dumps(header, separators=(",", ":")))
            if labels:
                await self._websocket.send_bytes(labels)

    async def _watch(self) -> Close | None:
        """Whether they may stay."""
        leaving = asyncio.create_task(self._here.desk.leaving.wait())
        try:
            while not (await asyncio.wait({leaving}, timeout=RECHECK_S))[0]:
                if time.monotonic() - self._heard_at > IDLE_S:
                    return Close.IDLE
                try:
                    await self._may_stay()
                except Unauthenticated:
                    return Close.TOKEN_INVALID
                except MembershipNotKnown:
                    return Close.MEMBERSHIP_NOT_KNOWN
                except IrpError:
                    return Close.NOT_A_MEMBER
        finally:
            leaving.cancel()
        return Close.RESTART

    async def _enter_again(self) -> None:
        self._here = await _enter(self._here.desk, self._authorization, self._here.project.id)

    async def _audit(self, frame: SegmentFrame) -> None:
        """Once per session for each series and model, or method, of the latest AUDITED_ONCE."""
        looks_at = frame.series, frame.who
        if looks_at in self._audited:
            return
        if len(self._audited) >= AUDITED_ONCE:
            del self._audited[next(iter(self._audited))]
        await self._here.desk.audit.write(
            subject=self._here.subject,
            project=self._here.project.id,
            action="segmentations.live",
            target=f"uid={frame.series} {frame.who}",
            status=200,
        )
        self._audited[looks_at] = None


def _parse(text: str | None) -> SegmentFrame | CancelFrame:
    """Raise FrameNotValid, with where and what; never the value."""
    if text is None:
        raise FrameNotValid("a frame is a text; binary frames only go to readers")
    try:
        return FRAME.validate_json(text)
    except ValidationError as error:
        found = error.errors(include_input=False, include_context=False)[0]
        where = "/".join(map(str, found["loc"]))
        raise FrameNotValid(f"{where}: {found['msg']}") from None
