"""Computes where a reader scrolls to next, while nothing else of theirs is to be done; the answers are remembered."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from dataclasses import dataclass

from irp_kernel.errors import IrpError

from irp_inference.app.ports import Lane, Ticket, Turn
from irp_inference.app.segment_series import Answer, Segments, Wish
from irp_inference.domain.look_ahead import Heading, Place, ahead_of, heading


@dataclass(slots=True)
class _Current:
    place: Place
    turn: Turn
    task: asyncio.Task[Answer]


class ScrollAhead:
    """One reader's way, and what lies on it."""

    def __init__(self, segment: Segments, steps: int) -> None:
        self._segment, self._steps = segment, steps
        self._last: Place | None = None
        self._way = Heading()
        self._targets: list[Place] = []
        self._wish: Wish | None = None
        self._current: _Current | None = None
        self._task: asyncio.Task[None] | None = None

    def moved(self, wish: Wish) -> None:
        """The reader asks for a slice: if they turned, what was to come is not wanted any more."""
        here = _place(wish)
        way = heading(self._last, here, self._way)
        if way != self._way or self._last is None or self._last.series != here.series:
            self._forget()
        self._last, self._way = here, way

    def go(self, wish: Wish, answer: Answer) -> None:
        """A slice was answered: compute its neighbours."""
        frames, slices = answer.geometry.frames, answer.geometry.shape[0]
        self._targets = ahead_of(_place(wish), self._way, frames, slices, self._steps)
        self._wish = wish
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    async def join(self, wish: Wish) -> None:
        """The reader reached the slice that is being computed: wait for its pass, or leave it to the reader's ask."""
        current = self._current
        if current is None or current.place != _place(wish):
            return
        if current.turn.passing:
            await asyncio.wait({current.task})
        else:
            current.task.cancel()

    async def stop(self) -> None:
        """End; nothing more is computed."""
        self._forget()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while self._targets and self._wish is not None:
            place = self._targets.pop(0)
            wish = dataclasses.replace(self._wish, frames=[place.frame], slices=[place.slice])
            turn = Turn()
            task = asyncio.create_task(self._segment(wish, Ticket(project=wish.project, lane=Lane.AHEAD, turn=turn)))
            self._current = _Current(place, turn, task)
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                self._current = None
            with contextlib.suppress(IrpError, asyncio.CancelledError):  # the reader's own ask says what is wrong
                task.result()

    def _forget(self) -> None:
        self._targets = []
        if self._current is not None and not self._current.turn.passing:
            self._current.task.cancel()


def _place(wish: Wish) -> Place:
    return Place(wish.series_uid, wish.frames[0], wish.slices[0])
