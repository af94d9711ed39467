"""Which ask of one reader is answered next: the newest; what it supersedes never begins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from irp_inference.domain.errors import AskIdTaken, TooManyAsks


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One ask that waits.

    Attributes:
        id: the asker's name for it.
        what: what is wanted.
        keep: answer it even if others follow.
        ahead: compute its neighbours afterwards.
        until: monotonic seconds after which nobody wants it; None = always wanted.
    """

    id: str
    what: Any
    keep: bool = False
    ahead: bool = False
    until: float | None = None


class LiveQueue:
    """Asks of one session that have not begun, oldest first; bounded."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: list[Asked] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, asked: Asked, running: Iterable[str] = ()) -> list[Asked]:
        """Queue an ask; what it supersedes is out.

        Args:
            asked: the ask.
            running: ids that have begun.

        Raises:
            AskIdTaken: an ask of this id has not ended.
            TooManyAsks: too many that are to be kept wait.
        """
        self.require_free(asked.id, running)
        kept = [waiting for waiting in self._waiting if waiting.keep]
        if len(kept) >= self._limit:
            raise TooManyAsks(f"{self._limit} asks wait", waiting=self._limit)
        stale = [waiting for waiting in self._waiting if not waiting.keep]
        self._waiting = [*kept, asked]
        return stale

    def require_free(self, id: str, running: Iterable[str]) -> None:
        """Raise AskIdTaken if an ask of this id waits or runs."""
        if id in {*running, *(waiting.id for waiting in self._waiting)}:
            raise AskIdTaken

    def remove(self, id: str) -> Asked | None:
        """Take an ask out; None if it does not wait."""
        found = next((waiting for waiting in self._waiting if waiting.id == id), None)
        if found is not None:
            self._waiting.remove(found)
        return found

    def expired(self, now: float) -> list[Asked]:
        """Take out what nobody wants any more."""
        late = [waiting for waiting in self._waiting if waiting.until is not None and waiting.until <= now]
        self._waiting = [waiting for waiting in self._waiting if waiting not in late]
        return late

    def take(self) -> Asked | None:
        """The newest, which begins now."""
        return self._waiting.pop() if self._waiting else None
