"""What was done to one instance, in tags and counts: never a value of the original."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the engine did.

    Attributes:
        edition: the table that was followed.
        options: codes of CID 7050.
        actions: how many elements were kept, cleaned, replaced, emptied, removed, or removed for they were unreadable.
        removed: paths of removed elements, e.g. "00081140[0].00100010".
    """

    edition: str
    options: tuple[str, ...]
    actions: dict[str, int]
    removed: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """Counts while the engine walks."""

    actions: Counter[str] = field(default_factory=Counter)
    removed: list[str] = field(default_factory=list)

    def count(self, action: str, path: str) -> None:
        """Note what happened to the element at this path."""
        self.actions[action] += 1
        if action in {"removed", "unreadable"}:
            self.removed.append(path)
