"""What was read already, of which the oldest is let go when there is too much."""

from __future__ import annotations

from typing import TypeVar

V = TypeVar("V")


class Kept(dict[str, V]):
    """Values by digest, at most so many."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: str, value: V) -> None:
        while key not in self and len(self) >= self._most:
            del self[next(iter(self))]
        super().__setitem__(key, value)
