"""Where the heart is in a volume: found once, whoever asks, and not begun anew because its first asker left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from irp_bundle import Located
from irp_kernel import Volume
from irp_kernel.errors import DeadlineExceeded

from irp_inference.app.drive import Drive
from irp_inference.app.ports import Lane, Loaded, Ticket, Turn, Windows

LINGER_S = 1.0  # a reader who scrolls leaves one slice and is at the next one within that time


class Locations:
    """Stage 1 looks at a whole series, once per model."""

    def __init__(self, windows: Windows, drive: Drive, linger_s: float = LINGER_S) -> None:
        self._windows, self._drive, self._linger_s = windows, drive, linger_s
        self._searches: dict[str, _Search] = {}

    async def find(self, sha256: str, volume: Volume, model: Loaded, ticket: Ticket) -> Located:
        """What stage 1 says of the volume with this hash.

        A search that nobody waits for any more ends: at once if it has cost nothing yet, else after a moment.

        Raises:
            DeadlineExceeded: it would come too late for this ticket; others wait on.
            CancelledError: nobody waits for this ticket's answer.
        """
        key = f"{sha256}/{model.identity}"
        known = self._windows.get(key)
        if known is not None:
            return known
        ticket.require_wanted()
        search = self._searches.get(key)
        if search is None:
            search = self._searches[key] = _Search(lambda own: self._drive(model.steps.locate(volume), model, own))
            search.answer.add_done_callback(lambda answer: self._found(key, answer))
        search.hurry(ticket)
        with self._waiting(key, search):
            try:
                async with asyncio.timeout_at(ticket.until):  # the loop's clock is the monotonic one
                    return await asyncio.shield(search.answer)
            except TimeoutError:
                raise DeadlineExceeded from None

    @contextmanager
    def _waiting(self, key: str, search: _Search) -> Iterator[None]:
        if search.leaving is not None:
            search.leaving.cancel()
        search.waiting += 1
        try:
            yield
        finally:
            search.waiting -= 1
            if not search.waiting and not search.answer.done():
                linger_s = self._linger_s if search.turn.passes else 0.0
                search.leaving = asyncio.get_running_loop().call_later(linger_s, self._give_up, key, search)

    def _give_up(self, key: str, search: _Search) -> None:
        if not search.answer.done():
            del self._searches[key]
            search.give_up()

    def _found(self, key: str, answer: asyncio.Future[Located]) -> None:
        if not answer.cancelled():
            del self._searches[key]
            if answer.exception() is None:
                self._windows.put(key, answer.result(), 1)


class _Search:
    """One search for everybody who waits for its answer.

    Attributes:
        turn: of the search, not of those who wait.
        waiting: how many do.
        leaving: what ends it once nobody waits.
    """

    def __init__(self, look: Callable[[Ticket], Awaitable[Located]]) -> None:
        self._look, self._lane = look, Lane.BACKGROUND + 1
        self._task: asyncio.Task[None] | None = None
        self.answer: asyncio.Future[Located] = asyncio.get_running_loop().create_future()
        self.turn, self.waiting = Turn(), 0
        self.leaving: asyncio.TimerHandle | None = None

    def hurry(self, ticket: Ticket) -> None:
        """Look in this ticket's lane, if it is a better one: a reader does not wait behind a proposal.

        What was seen in the lesser lane is given up: a search is a few passes. Without the asker's time and turn:
        others may wait for it too.
        """
        if ticket.lane >= self._lane or self.answer.done():
            return
        if self._task is not None:
            self._task.cancel()
        self._lane, self.turn = ticket.lane, Turn()
        self._task = asyncio.create_task(self._run(Ticket(project=ticket.project, lane=ticket.lane, turn=self.turn)))

    def give_up(self) -> None:
        """Nobody waits."""
        if self._task is not None:
            self._task.cancel()
        self.answer.cancel()

    async def _run(self, own: Ticket) -> None:
        try:
            found = await self._look(own)
        except Exception as error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(found)
