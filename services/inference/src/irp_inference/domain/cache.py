"""A cache with a bound in bytes: the least recently used goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

V = TypeVar("V")


class BytesBoundCache(Generic[V]):
    """Values by key, at most `limit` bytes of them; a value larger than the limit is not kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[str, tuple[V, int]] = OrderedDict()
        self.size = 0

    def get(self, key: str) -> V | None:
        """The value, which becomes the most recently used; None if it is not there."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[0]

    def put(self, key: str, value: V, size: int) -> None:
        """Keep a value of `size` bytes."""
        if size > self._limit:
            return
        if key in self._kept:
            self.size -= self._kept.pop(key)[1]
        self._kept[key] = (value, size)
        self.size += size
        while self.size > self._limit:
            _, (_, gone) = self._kept.popitem(last=False)
            self.size -= gone
