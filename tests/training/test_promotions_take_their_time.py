"""What you learn here: a promotion that takes longer than one ask goes on, once, and who asks again hears of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from irp_training.app.judge_candidate import Tell
from irp_training.app.promote_meanwhile import PromoteMeanwhile, Standing
from irp_training.domain.errors import CandidateWorse

PROMOTED = Standing(state="promoted", verdict="verdict")  # type: ignore[arg-type]


class Slow:
    """Measures until `go`; then what it says, or raises."""

    tell: Tell

    def __init__(self, ends_with: Any = ("verdict", "promoted")) -> None:
        self.go, self.begun, self._ends_with = asyncio.Event(), 0, ends_with

    async def __call__(self, name: str, version: int, actor: str, tell: Tell) -> Any:
        self.begun, self.tell = self.begun + 1, tell
        await self.go.wait()
        if isinstance(self._ends_with, Exception):
            raise self._ends_with
        return self._ends_with


def at_once(slow: Slow, wait_s: float = 0.01) -> PromoteMeanwhile:
    return PromoteMeanwhile(slow, wait_s)  # type: ignore[arg-type]


async def test_who_asks_again_joins_the_measuring_and_hears_its_end() -> None:
    slow = Slow()
    promote = at_once(slow)
    for _ in range(3):
        assert (await promote("cine", 2, "ada")).state == "measuring"
    slow.go.set()
    assert await at_once_or_later(promote) == PROMOTED
    assert slow.begun == 1
    assert await at_once_or_later(promote) == PROMOTED
    assert slow.begun == 2  # what was told is forgotten: the registry knows it


async def test_who_asks_again_hears_how_far_it_is() -> None:
    slow, now = Slow(), [100.0]
    promote = PromoteMeanwhile(slow, 0.01, lambda: now[0])  # type: ignore[arg-type]
    first = (await promote("cine", 2, "ada")).progress
    assert (first.fraction, first.eta_s) == (0.0, -1.0)
    now[0] = 130.0  # the models were loaded: that is not the pace
    slow.tell(1, 7)
    assert (await promote("cine", 2, "ada")).progress.eta_s == -1.0
    now[0] = 136.0
    slow.tell(4, 7)
    there = (await promote("cine", 2, "ada")).progress
    assert (there.fraction, there.eta_s, there.step) == (0.5, 8.0, "measured beside the champion: 4 of 7 series")
    slow.tell(7, 7)
    assert (await promote("cine", 2, "ada")).progress.fraction < 1  # both are timed yet


async def at_once_or_later(promote: PromoteMeanwhile) -> Standing:
    async with asyncio.timeout(5):
        while (found := await promote("cine", 2, "ada")).state == "measuring":
            pass
        return found


async def test_a_refusal_is_told_to_the_next_who_asks() -> None:
    slow = Slow(CandidateWorse("worse on lv_myocardium"))
    promote = at_once(slow)
    assert (await promote("cine", 2, "ada")).state == "measuring"
    slow.go.set()
    with pytest.raises(CandidateWorse, match="lv_myocardium"):
        await at_once_or_later(promote)


async def test_an_asker_who_goes_away_ends_nothing() -> None:
    slow = Slow()
    promote = at_once(slow, wait_s=30)
    gone = asyncio.create_task(promote("cine", 2, "ada"))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    slow.go.set()
    assert await promote("cine", 2, "ada") == PROMOTED
    assert slow.begun == 1


async def test_each_asker_and_version_has_a_measuring_and_a_room_that_leaves_ends_them() -> None:
    slow = Slow()
    promote = at_once(slow)
    for version, actor in ((2, "ada"), (2, "grace"), (3, "ada")):
        assert (await promote("cine", version, actor)).state == "measuring"
    assert slow.begun == 3
    await asyncio.wait_for(promote.close(), 5)
    with pytest.raises(asyncio.CancelledError):
        await promote("cine", 2, "ada")
