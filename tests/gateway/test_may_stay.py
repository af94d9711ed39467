"""What you learn here: who is proven to have lost their place goes at once; who cannot be looked up, after minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from irp_gateway.app import may_stay
from irp_gateway.app.may_stay import UNKNOWN_S, MayStay
from irp_gateway.domain.errors import MembershipNotKnown
from irp_kernel.errors import Aborted, IrpError, PermissionDenied, ProjectUnknown, Unauthenticated
from sqlalchemy.exc import OperationalError


class Door:
    """Somebody who was let in, a clock, and what looking them up says next."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.says: Exception | None = None
        self.may_stay = MayStay(self._look, lambda: self.now_s)

    async def _look(self) -> None:
        if self.says is not None:
            raise self.says

    async def after(self, seconds: float, says: Exception | None = None) -> None:
        self.now_s += seconds
        self.says = says
        await self.may_stay()


def away() -> Exception:
    return OperationalError("SELECT", {}, Exception("connection lost"))


async def test_a_database_that_comes_back_put_nobody_out() -> None:
    door = Door()
    for _ in range(3):
        await door.after(UNKNOWN_S - 1, away())
        await door.after(0.5)  # it is known again: the next time without an answer begins anew


async def test_a_database_that_stays_away_puts_everybody_out_after_some_minutes() -> None:
    door = Door()
    await door.after(UNKNOWN_S / 2, away())
    await door.after(UNKNOWN_S / 2 - 1, away())
    with pytest.raises(MembershipNotKnown):
        await door.after(1, away())


@pytest.mark.parametrize("lost", [Unauthenticated, PermissionDenied, ProjectUnknown])
async def test_a_loss_that_is_known_counts_at_once(lost: type[IrpError]) -> None:
    door = Door()
    await door.after(1, away())
    with pytest.raises(lost):
        await door.after(1, lost())


@pytest.mark.parametrize("problem", [Aborted, OSError, IrpError])
async def test_whatever_else_goes_wrong_is_no_loss(problem: Callable[[], Exception]) -> None:
    await Door().after(1, problem())


async def test_a_database_that_never_answers_is_one_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(may_stay, "LOOK_S", 0.01)
    monkeypatch.setattr(may_stay, "UNKNOWN_S", 0.0)
    for_ever = MayStay(asyncio.Event().wait)
    with pytest.raises(MembershipNotKnown):
        async with asyncio.timeout(5):
            await for_ever()
