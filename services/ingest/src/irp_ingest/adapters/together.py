"""Callers that come while a transaction is under way share the next one: beginning and committing cost most of it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
MOST = 64  # callers of one transaction: none waits long, and little is done again where one of them fails


class Together(Generic[T, R]):
    """Does the work of all who wait at once.

    Args:
        work: takes what several callers ask for; an answer or an error of its own for each, in their order. What it
            raises itself undoes the work of all: they are then served one by one, and nobody fails with a neighbour.
    """

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]]) -> None:
        self._work = work
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def __call__(self, asked: T) -> R:
        """The caller's own answer, once the transaction is committed.

        Raises:
            Exception: what the work says of, or raises for, this caller.
        """
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._serving is None or self._serving.done():
            # A task and a context of its own: a caller that goes away must not take the others' transaction along.
            self._serving = asyncio.create_task(self._serve(), context=contextvars.Context())
        return await answer

    async def _serve(self) -> None:
        while self._waiting:
            callers, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            await self._answer([caller for caller in callers if not caller[1].cancelled()])

    async def _answer(self, callers: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        answers: Sequence[R | Exception]
        try:
            answers = await self._work([asked for asked, _ in callers])
        except Exception as error:
            if len(callers) > 1:
                for caller in callers:
                    await self._answer([caller])
                return
            answers = [error]
        for (_, waiting), answer in zip(callers, answers, strict=True):
            if waiting.cancelled():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
