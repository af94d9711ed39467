"""One reader's asks on one line: newest first, each with exactly one end; whole series beside them, frame by frame."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import structlog
from irp_kernel.errors import DeadlineExceeded, IrpError

from irp_inference.app.ports import Lane, Ticket, Turn
from irp_inference.app.scroll_ahead import ScrollAhead
from irp_inference.app.segment_series import Answer, Segments, Wish
from irp_inference.domain.errors import ServerLeaves, TooManyAsks
from irp_inference.domain.live_queue import Asked, LiveQueue

EVENTS_LIMIT = 64  # answers that a slow reader may fall behind; then nothing further is computed for them
WHOLE_LIMIT = 2  # whole series at once


@dataclass(frozen=True, slots=True)
class Answered:
    """The end: what was asked for; of a whole series, the last frame."""

    id: str
    answer: Answer
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Partly:
    """One frame of a whole series; `eta_s` are the seconds to its end."""

    id: str
    answer: Answer
    done: int
    total: int
    eta_s: float


@dataclass(frozen=True, slots=True)
class Refused:
    """The end: why not."""

    id: str
    error: IrpError


@dataclass(frozen=True, slots=True)
class Dropped:
    """The end: "superseded", "cancelled" or "expired"; `passes` that had begun were for nothing."""

    id: str
    reason: str
    passes: int = 0


Event = Answered | Partly | Refused | Dropped


@dataclass(slots=True)
class _Running:
    """An ask that has begun; `reason` = why nobody waits for it any more."""

    task: asyncio.Task[Answer]
    turn: Turn
    asked: Asked
    reason: str = ""


class LiveSession:
    """Give it asks, read `events`, and let `serve` run beside."""

    def __init__(self, segment: Segments, *, limit: int, ahead: int, now: Callable[[], float] = time.monotonic) -> None:
        self._segment, self._now = segment, now
        self._queue = LiveQueue(limit)
        self._ahead = ScrollAhead(segment, ahead)
        self._events: asyncio.Queue[Event | None] = asyncio.Queue(EVENTS_LIMIT)
        self._running: _Running | None = None
        self._whole: dict[str, _Running] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._rung, self._last, self._leaving = asyncio.Event(), False, False
        self._log = structlog.get_logger(part="live")

    async def ask(self, asked: Asked) -> None:
        """Queue a slice, or begin a whole series; what it supersedes ends here."""
        begun = [*self._whole, *([self._running.asked.id] if self._running else [])]
        try:
            if self._leaving:
                raise ServerLeaves
            stale = self._queue.add(asked, begun) if asked.what.slices else self._begin_whole(asked, begun)
        except IrpError as error:
            await self.refuse(asked.id, error)
            return
        if asked.what.slices:
            self._supersede_running()
            self._rung.set()
        if asked.what.is_one:
            self._ahead.moved(asked.what)
        for old in stale:
            await self._events.put(Dropped(old.id, "superseded"))
        await asyncio.sleep(0)  # it begins before the next one is heard

    async def refuse(self, id: str, error: IrpError) -> None:
        """An ask that is not let in ends at once."""
        await self._events.put(Refused(id, error))

    async def cancel(self, id: str) -> None:
        """Take an ask back; unknown ids are those that have ended."""
        if self._queue.remove(id):
            await self._events.put(Dropped(id, "cancelled"))
        elif self._running and self._running.asked.id == id:
            self._running.reason = "cancelled"
            self._running.task.cancel()
        elif id in self._whole:
            _stop(self._whole[id], "cancelled")

    def finish(self) -> None:
        """No more asks come: end when those that are there have ended."""
        self._last = True
        self._rung.set()

    async def events(self) -> AsyncIterator[Event]:
        """What became of the asks, until the session ends."""
        while (event := await self._events.get()) is not None:
            yield event

    async def leave(self) -> None:
        """The server stops: what has begun is answered, the rest is refused."""
        self._leaving = True
        for running in self._whole.values():
            running.task.cancel()
        while (asked := self._queue.take()) is not None:
            await self._events.put(Refused(asked.id, ServerLeaves()))
        self.finish()

    async def serve(self) -> None:
        """Work until `finish` and everything is answered."""
        try:
            while not self._last or len(self._queue):
                await self._rung.wait()
                self._rung.clear()
                while await self._one():
                    pass
            await asyncio.gather(*self._telling)
            await self._events.put(None)
        finally:
            await self.close()

    async def close(self) -> None:
        """The reader is gone: nothing more is computed."""
        await self._ahead.stop()
        for task in (*self._telling, *(running.task for running in self._whole.values())):
            task.cancel()
        if self._running:
            self._running.task.cancel()

    async def _one(self) -> bool:
        """Answer the newest ask; False if there is none."""
        for late in self._queue.expired(self._now()):
            await self._events.put(Dropped(late.id, "expired"))
        asked = self._queue.take()
        if asked is None:
            return False
        await self._events.put(await self._answer(asked))
        return True

    async def _answer(self, asked: Asked) -> Event:
        wish, turn = asked.what, Turn()
        task = asyncio.create_task(self._look(wish, Ticket(project=wish.project, until=asked.until, turn=turn)))
        running = self._running = _Running(task, turn, asked)
        try:
            await asyncio.wait({task})
        finally:
            task.cancel()
            self._running = None
        end = self._end(running)
        if isinstance(end, Answered) and asked.ahead and wish.is_one and wish.variant is not None:
            self._ahead.go(wish, end.answer)
        return end

    def _end(self, running: _Running) -> Event:
        """What becomes of an ask whose task has ended."""
        task, asked, passes = running.task, running.asked, running.turn.passes
        if task.cancelled() and self._leaving and not running.reason:
            return Refused(asked.id, ServerLeaves())
        if task.cancelled():
            return Dropped(asked.id, running.reason or "superseded", passes)
        error = task.exception()
        if isinstance(error, DeadlineExceeded):
            return Dropped(asked.id, "expired", passes)
        if error is not None:
            return Refused(asked.id, self._known(error))
        return Answered(asked.id, task.result(), whole=not asked.what.slices)

    async def _look(self, wish: Wish, ticket: Ticket) -> Answer:
        if wish.is_one:
            await self._ahead.join(wish)
        return await self._segment(wish, ticket)

    def _supersede_running(self) -> None:
        """A pass that is on the device ends and is answered: else a reader who scrolls fast would see nothing."""
        if self._running is None or self._running.asked.keep:
            return
        self._running.turn.stale, self._running.reason = True, self._running.reason or "superseded"
        if not self._running.turn.passing:
            self._running.task.cancel()

    def _begin_whole(self, asked: Asked, begun: list[str]) -> list[Asked]:
        """A whole series beside the slices. What was marked anew supersedes what was marked before."""
        self._queue.require_free(asked.id, begun)
        if asked.what.marks:
            for running in self._whole.values():
                if running.asked.what.marks and not running.asked.keep:
                    _stop(running, "superseded")
        if sum(not running.reason for running in self._whole.values()) >= WHOLE_LIMIT:
            raise TooManyAsks(f"{WHOLE_LIMIT} whole series are being computed", waiting=WHOLE_LIMIT)
        turn = Turn()
        running = _Running(asyncio.create_task(self._frames(asked, turn)), turn, asked)
        self._whole[asked.id] = running
        telling = asyncio.create_task(self._tell_end(running))
        self._telling.add(telling)
        telling.add_done_callback(self._telling.discard)
        return []  # slices go on

    async def _tell_end(self, running: _Running) -> None:
        """Apart from the work, which may be stopped at any time: also while its end waits for a slow reader."""
        await asyncio.wait({running.task})
        await self._events.put(self._end(running))
        del self._whole[running.asked.id]

    async def _frames(self, asked: Asked, turn: Turn) -> Answer:
        """Frame by frame, behind slices that somebody looks at; the last one's answer."""
        wish: Wish = asked.what
        ticket = Ticket(project=wish.project, lane=Lane.AHEAD, until=asked.until, turn=turn)
        frames, done, began = list(wish.frames) or [0], 0, self._now()
        while True:
            answer = await self._segment(dataclasses.replace(wish, frames=[frames[done]]), ticket)
            frames, done = list(wish.frames) or list(range(answer.geometry.frames)), done + 1
            eta_s = (self._now() - began) / done * (len(frames) - done)
            await self._events.put(Partly(asked.id, answer, done, len(frames), eta_s))
            if done == len(frames):
                return answer

    def _known(self, error: BaseException) -> IrpError:
        if isinstance(error, IrpError):
            return error
        self._log.error("live_failed", exc_info=error)
        return IrpError()


def _stop(running: _Running, reason: str) -> None:
    running.reason = running.reason or reason
    running.task.cancel()
