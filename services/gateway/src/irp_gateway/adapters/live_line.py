"""One reader's lines to the classification server: one to each replica that a series of theirs belongs to.

A line is begun with the first ask that goes to a replica, and begun again after it broke. What was under way on a line
that breaks, and what a full replica refuses, is asked for once more at the next replica.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import structlog
from irp.inference.v1 import live_service_pb2 as pb
from irp_kernel.errors import Code, IrpError

from irp_gateway.adapters.live_frames import Out, SegmentFrame, frame_of, is_end, problem_frame
from irp_gateway.adapters.rooms import SERIES_ASKS, Line, series_key
from irp_gateway.domain.errors import RoomAway

SAID_LIMIT = 64  # frames that a slow reader may fall behind; then the classification server waits
ELSEWHERE = ("UNAVAILABLE", "RESOURCE_EXHAUSTED")  # codes of problems that another replica may not have
OWN_LIMITS = ("TOO_MANY_ASKS",)  # of the session, wherever it is


@dataclass(slots=True, eq=False)
class _Talk:
    """A stream to one replica."""

    line: Line
    going: asyncio.Queue[pb.LiveRequest] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class _Asked:
    """An ask that has not ended.

    Attributes:
        frame, request: what the reader said, and as inference is asked.
        where: address of the replica that has it.
        tried: addresses of all that were given it.
        dropped: why it was taken back: "cancelled", or "superseded" by an ask that another replica has.
    """

    frame: SegmentFrame
    request: pb.LiveRequest
    where: str = ""
    tried: list[str] = field(default_factory=list)
    dropped: str = ""


class LiveLine:
    """Every ask that goes in ends exactly once in `said`, also if replicas die."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.said: asyncio.Queue[Out] = asyncio.Queue(SAID_LIMIT)
        self.open: dict[str, _Asked] = {}  # by id, oldest first
        self._talks: dict[str, _Talk] = {}
        self._log = structlog.get_logger(part="live")

    def ask(self, frame: SegmentFrame, request: pb.LiveRequest) -> None:
        """Send an ask to the replica of its series."""
        asked = self.open[frame.id] = _Asked(frame, request)
        self._send(asked, self._choose(asked) or self._line)
        if frame.is_look:
            self._supersede_elsewhere(asked)

    def cancel(self, id: str) -> None:
        """Take an ask back; what has ended already is nothing to take back."""
        asked = self.open.get(id)
        if asked is not None and not asked.dropped:
            self._take_back(asked, "cancelled")

    async def close(self) -> None:
        """Hang up: the classification server stops computing for this reader."""
        tasks = [talk.task for talk in self._talks.values() if talk.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _choose(self, asked: _Asked, *, anywhere: bool = True) -> Line | None:
        """A line that was not given the ask yet: to the nearest replica, or to whichever answers."""
        near = self._line.near(series_key(asked.request.ask.request))
        others = [*near, self._line] if anywhere else near
        return next((line for line in others if line.address not in asked.tried), None)

    def _send(self, asked: _Asked, line: Line) -> None:
        place = len(asked.tried)
        SERIES_ASKS.labels("any" if line is self._line else ("first", "next")[min(place, 1)]).inc()
        asked.where = line.address
        asked.tried.append(line.address)
        if line.address not in self._talks:
            talk = self._talks[line.address] = _Talk(line)
            talk.task = asyncio.create_task(self._talk(talk))
        self._talks[line.address].going.put_nowait(asked.request)

    def _supersede_elsewhere(self, newest: _Asked) -> None:
        """Within one replica the newest ask supersedes; those that wait at others are taken back here."""
        for asked in self.open.values():
            if asked.where != newest.where and asked.frame.is_look and not asked.frame.keep and not asked.dropped:
                self._take_back(asked, "superseded")

    def _take_back(self, asked: _Asked, reason: str) -> None:
        asked.dropped = reason
        talk = self._talks.get(asked.where)
        if talk is not None:
            talk.going.put_nowait(pb.LiveRequest(cancel=pb.Cancel(id=asked.frame.id)))

    async def _talk(self, talk: _Talk) -> None:
        error: IrpError = RoomAway("inference ended the line", room="inference")
        try:
            async for response in talk.line.stream("Live", _each(talk.going), timeout_s=None):
                await self._hear(response)
        except IrpError as broke:
            # What is wrong with an ask comes as its answer. A stream that ends while something is on its way to the
            # room is "internal" to gRPC: the room left.
            error = error if broke.code is Code.INTERNAL else broke
        except Exception as broke:  # a line that nobody reads would take asks, and end none
            self._log.error("live_line_failed", exc_info=broke)
        del self._talks[talk.line.address]  # the next ask begins a new one
        for asked in [asked for asked in self.open.values() if asked.where == talk.line.address]:
            await self._lost(asked, error)

    async def _lost(self, asked: _Asked, error: IrpError) -> None:
        """Its replica is gone."""
        line = self._choose(asked) if error.code is Code.UNAVAILABLE else None
        await self._pass_on(asked, line, problem_frame(asked.frame.id, error))

    async def _pass_on(self, asked: _Asked, line: Line | None, refusal: dict[str, Any]) -> None:
        """To another replica, if there is one and somebody still waits for it; else it ends."""
        reason = asked.dropped or ("superseded" if line is not None and self._is_superseded(asked) else "")
        if reason:
            await self._end(asked, {"type": "dropped", "id": asked.frame.id, "reason": reason})
        elif line is not None:
            self._send(asked, line)
        else:
            await self._end(asked, refusal)

    def _is_superseded(self, asked: _Asked) -> bool:
        """Whether it would supersede what was asked for after it."""
        if asked.frame.keep or not asked.frame.is_look:
            return False
        later = itertools.dropwhile(lambda other: other is not asked, self.open.values())
        return any(other.frame.is_look for other in later if other is not asked)

    async def _end(self, asked: _Asked, header: dict[str, Any]) -> None:
        del self.open[asked.frame.id]
        await self.said.put((header, b""))

    async def _hear(self, response: pb.LiveResponse) -> None:
        asked = self.open.get(response.id)
        if asked is None:
            return
        if _may_go_elsewhere(response):
            refusal, _ = frame_of(response, asked.frame)
            await self._pass_on(asked, self._choose(asked, anywhere=False), refusal)
            return
        if response.WhichOneof("what") == "dropped" and asked.dropped:
            response.dropped.reason = asked.dropped
        try:
            said = await asyncio.to_thread(frame_of, response, asked.frame)
        except Exception as error:  # what is wrong with one answer ends its ask, not the line of all
            self._log.error("live_answer_failed", exc_info=error)
            if not is_end(response) and not asked.dropped:
                self._take_back(asked, "cancelled")
            await self._end(asked, problem_frame(asked.frame.id, IrpError()))
            return
        if is_end(response):
            del self.open[response.id]
        await self.said.put(said)


def _may_go_elsewhere(response: pb.LiveResponse) -> bool:
    if response.WhichOneof("what") != "problem":
        return False
    said = response.problem
    return said.code in ELSEWHERE and said.retry_after_s > 0 and said.reason not in OWN_LIMITS


async def _each(going: asyncio.Queue[pb.LiveRequest]) -> AsyncIterator[pb.LiveRequest]:
    while True:
        yield await going.get()
