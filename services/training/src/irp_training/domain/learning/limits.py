"""How long a run may learn, and what it may cost.

Time is counted over all attempts, from a process's begin to its end, however that came; where the whole room is
killed, but for the seconds since it last wrote the time down (`app/train_run.py`).
"""

from __future__ import annotations

from collections.abc import Callable

from irp_training.domain.price import Price
from irp_training.domain.recipes.recipe import Recipe

LOCATE_SHARE = 1 / 3  # of a limit may be spent on net 1 where both are trained: net 2 must have its turn


class Meter:
    """Time and money that a run has taken.

    Args:
        recipe: with its limits.
        price: of an hour.
        spent_s: seconds that earlier attempts took.
        clock: seconds, monotonic.
    """

    def __init__(self, recipe: Recipe, price: Price, spent_s: float, clock: Callable[[], float]) -> None:
        self._recipe, self._price = recipe, price
        self._clock, self._began = clock, clock() - spent_s

    @property
    def spent_s(self) -> float:
        """Seconds so far."""
        return self._clock() - self._began

    @property
    def limited(self) -> bool:
        """There is a limit at all."""
        return self._recipe.max_minutes > 0 or self._recipe.max_cost > 0

    def reached(self, share: float = 1.0) -> str:
        """The limit of which more than this share is spent, in words; empty if none is."""
        minutes, money = self._recipe.max_minutes, self._recipe.max_cost
        which = "" if share == 1.0 else "its share of "
        if minutes and self.spent_s >= 60 * minutes * share:
            return f"{which}`max_minutes` ({minutes:g}) was reached"
        if money and self._price.of(self.spent_s) >= money * share:
            amount = f"{money:g} {self._price.currency}".strip()
            return f"{which}`max_cost` ({amount}) was reached"
        return ""
