"""What you learn here: callers share a transaction, but neither each other's failures nor each other's going away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from irp_ingest.adapters.together import MOST, Together


class Halves:
    """Halves even numbers; odd ones are refused, and 0 breaks everything."""

    def __init__(self) -> None:
        self.done: list[list[int]] = []
        self.free = asyncio.Event()

    async def __call__(self, asked: Sequence[int]) -> Sequence[int | Exception]:
        await self.free.wait()
        if 0 in asked:
            raise ZeroDivisionError
        self.done.append(list(asked))
        return [ArithmeticError() if number % 2 else number // 2 for number in asked]


async def at_once(together: Together[int, int], numbers: Sequence[int], halves: Halves) -> list[asyncio.Task[int]]:
    """Callers that all wait already when the work begins."""
    callers = [asyncio.create_task(together(number)) for number in numbers]
    await asyncio.sleep(0)
    halves.free.set()
    return callers


async def test_who_waits_at_once_is_served_at_once_in_bounded_groups() -> None:
    halves = Halves()
    numbers = list(range(2, 2 + 2 * (MOST + 3), 2))
    callers = await at_once(Together(halves), numbers, halves)
    assert await asyncio.gather(*callers) == [number // 2 for number in numbers]
    assert [len(group) for group in halves.done] == [MOST, 3]


async def test_a_refused_caller_and_a_broken_one_harm_nobody() -> None:
    halves = Halves()
    callers = await at_once(Together(halves), [2, 3, 0, 8], halves)
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert (answers[0], answers[3]) == (1, 4)
    assert [type(answer) for answer in answers[1:3]] == [ArithmeticError, ZeroDivisionError]
    assert halves.done == [[2], [3], [8]], "one by one, after the common work was undone"


async def test_whoever_goes_away_takes_nobody_along() -> None:
    halves = Halves()
    together = Together(halves)
    first = asyncio.create_task(together(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second, third = (asyncio.create_task(together(number)) for number in (4, 6))
    await asyncio.sleep(0)
    first.cancel()
    third.cancel()
    halves.free.set()
    assert await second == 2
    with pytest.raises(asyncio.CancelledError):
        await first
    assert halves.done == [[2], [4]], "what had begun is finished, what had not is not begun"
    assert await together(10) == 5
