"""How the demo speaks: numbered steps, plain sentences, bars for what takes time, patience with a bound."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from rich.progress import Progress
from rich.rule import Rule

from openirp.command.console import counting, err, flowing
from openirp.house.trouble import HouseTrouble

T = TypeVar("T")
LOOK_S = 0.4
PATIENCE_S = 240.0


class Narrator:
    """Tells the story to the person at the terminal, and keeps the time of each step."""

    def __init__(self, steps: int) -> None:
        self._steps, self._number = steps, 0
        self.began = time.monotonic()
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One numbered step."""
        self._number += 1
        err.print()
        err.print(Rule(f"[bold]{self._number} of {self._steps}  {title}[/bold]", align="left", style="cyan"))
        began = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - began
        err.print(f"[dim]{self.seconds[title]:.1f} s[/dim]")

    def say(self, text: str) -> None:
        """A sentence."""
        err.print(f"  {text}", markup=False)

    def counting(self) -> Progress:
        """A bar with n of m."""
        return counting()

    def flowing(self) -> Progress:
        """A bar with a fraction."""
        return flowing()

    def wait(self, what: str, look: Callable[[], T | None], timeout_s: float = PATIENCE_S) -> T:
        """Look until there is something, with a spinner.

        Raises:
            HouseTrouble: it did not come.
        """
        until = time.monotonic() + timeout_s
        with err.status(f"  {what}"):
            while True:
                found = look()
                if found is not None:
                    return found
                if time.monotonic() > until:
                    raise HouseTrouble(
                        f"{what}: nothing came within {timeout_s:.0f} s", "see `irp logs` and `irp parked list`"
                    )
                time.sleep(LOOK_S)
