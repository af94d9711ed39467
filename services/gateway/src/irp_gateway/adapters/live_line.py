"""One reader's line to the classification server: begun with the first ask, begun again after it broke."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from irp.inference.v1 import live_service_pb2 as pb
from irp_kernel.errors import Code, IrpError

from irp_gateway.adapters.live_frames import Out, SegmentFrame, frame_of, is_end, problem_frame
from irp_gateway.adapters.rooms import Line
from irp_gateway.domain.errors import RoomAway

SAID_LIMIT = 64  # frames that a slow reader may fall behind; then the classification server waits


class LiveLine:
    """Every ask that goes in ends exactly once in `said`, also if the room dies."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self.said: asyncio.Queue[Out] = asyncio.Queue(SAID_LIMIT)
        self.open: dict[str, SegmentFrame] = {}
        self._going: asyncio.Queue[pb.LiveRequest] | None = None
        self._task: asyncio.Task[None] | None = None

    def ask(self, asked: SegmentFrame, request: pb.LiveRequest) -> None:
        """Send an ask."""
        self.open[asked.id] = asked
        if self._going is None:
            self._going = asyncio.Queue()
            self._task = asyncio.create_task(self._talk(self._going))
        self._going.put_nowait(request)

    def cancel(self, id: str) -> None:
        """Take an ask back; what has ended already is nothing to take back."""
        if id in self.open and self._going is not None:
            self._going.put_nowait(pb.LiveRequest(cancel=pb.Cancel(id=id)))

    async def close(self) -> None:
        """Hang up: the classification server stops computing for this reader."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _talk(self, going: asyncio.Queue[pb.LiveRequest]) -> None:
        error: IrpError = RoomAway("inference ended the line", room="inference")
        try:
            async for response in self._line.stream("Live", _each(going), timeout_s=None):
                await self._hear(response)
        except IrpError as broke:
            # What is wrong with an ask comes as its answer. A stream that ends while something is on its way to the
            # room is "internal" to gRPC: the room left.
            error = error if broke.code is Code.INTERNAL else broke
        self._going = None  # the next ask begins a new line
        lost, self.open = list(self.open), {}
        for ask in lost:
            await self.said.put((problem_frame(ask, error), b""))

    async def _hear(self, response: pb.LiveResponse) -> None:
        asked = self.open.get(response.id)
        if asked is None:
            return
        if is_end(response):
            del self.open[response.id]
        await self.said.put(await asyncio.to_thread(frame_of, response, asked))


async def _each(going: asyncio.Queue[pb.LiveRequest]) -> AsyncIterator[pb.LiveRequest]:
    while True:
        yield await going.get()
