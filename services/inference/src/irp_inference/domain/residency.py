"""Which loaded models make room for another one: the least recently used first, never one that is needed. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from irp_inference.domain.errors import ModelsTooLarge

Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A loaded model.

    Attributes:
        key: name and version.
        size: bytes that it takes.
        users: requests that hold it now.
        last_used: monotonic clock.
        needed: champion, pinned, canary, shadow, or loaded on somebody's word.
    """

    key: Key
    size: int
    users: int
    last_used: float
    needed: bool


def leaving(residents: Iterable[Resident], budget: int, coming: int) -> list[Key]:
    """Who leaves so that `coming` more bytes fit into the budget.

    Raises:
        ModelsTooLarge: they do not fit even if all leave that may.
    """
    here = list(residents)
    total = sum(resident.size for resident in here) + coming
    chosen: list[Key] = []
    for resident in sorted(here, key=lambda r: r.last_used):
        if total <= budget:
            break
        if not resident.needed and not resident.users:
            chosen.append(resident.key)
            total -= resident.size
    if total > budget and coming:
        raise ModelsTooLarge(needed_bytes=total, budget_bytes=budget)
    return chosen
