"""What you learn here: how long a refusal of a bundle is remembered, and how many."""

from __future__ import annotations

from irp_inference.domain.errors import EngineDisagrees
from irp_inference.domain.refusals import MOST, REMEMBERED_S, Refusals
from irp_kernel.errors import TooLarge


def test_a_refusal_says_the_same_again_until_it_is_old_or_somebody_wants_another_try() -> None:
    refusals, first = Refusals(), TooLarge("too many bytes", limit_bytes=3)
    refusals.add("a", first, now=100)
    again = refusals.of("a", now=100 + REMEMBERED_S - 1)
    assert again is not first
    assert type(again) is TooLarge
    assert again
    assert (again.message, again.details) == ("too many bytes", {"limit_bytes": 3})
    assert refusals.of("b", now=100) is None
    assert refusals.of("a", now=100 + REMEMBERED_S) is None
    refusals.add("a", first, now=2000)
    refusals.forget("a")
    assert refusals.of("a", now=2000) is None


def test_no_more_are_remembered_than_there_is_room_for() -> None:
    refusals = Refusals()
    for number in range(MOST):
        refusals.add(str(number), EngineDisagrees(), now=number)
    refusals.add("0", EngineDisagrees(), now=MOST)
    refusals.add("one more", EngineDisagrees(), now=MOST)
    assert refusals.of("1", now=MOST) is None
    assert refusals.of("0", now=MOST) is not None
