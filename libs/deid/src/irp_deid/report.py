"""What was done to one instance, in tags, counts and reasons: never a value of the original."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydicom.datadict import keyword_for_tag

ENGINE = 2  # raised whenever the same file under the same profile may come out differently
SCHEMA = 1  # of `Report.to_dict`
ACTIONS = ("kept", "cleaned", "replaced", "emptied", "removed", "unreadable")
STAMPED = "written by the engine: whose it is now, and what was done"
_GONE = frozenset({"removed", "unreadable"})


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one element, and why.

    Attributes:
        path: tags in hexadecimal with the numbers of items, e.g. "00400275[0].00400007".
        keyword: the dictionary's; empty for private and unknown elements.
        action: one of `ACTIONS`; "unreadable" is removed, too.
        why: the rule that decided, e.g. "Table E.1-1: X" or "option 113105: C".
    """

    path: str
    keyword: str
    action: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the engine did.

    Attributes:
        engine: version of the engine's rules.
        edition: the table that was followed.
        options: codes of CID 7050.
        positive_list: "name version sha256" of the project's positive list; empty without one.
        vocabulary: how many words the project allows beyond the engine's own.
        actions: how many elements were kept, cleaned, replaced, emptied, removed, or removed for they were unreadable.
        removed: paths of removed elements, e.g. "00081140[0].00100010".
        changes: every element in the order of paths; empty unless the caller asked for it.
    """

    edition: str
    options: tuple[str, ...]
    actions: dict[str, int]
    removed: tuple[str, ...]
    engine: int = ENGINE
    positive_list: str = ""
    vocabulary: int = 0
    changes: tuple[Change, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the same report always gives the same document."""
        return {
            "schema": SCHEMA,
            "engine": self.engine,
            "edition": self.edition,
            "options": list(self.options),
            "positive_list": self.positive_list,
            "vocabulary": self.vocabulary,
            "actions": {action: self.actions[action] for action in sorted(self.actions)},
            "removed": list(self.removed),
            "changes": [[one.path, one.keyword, one.action, one.why] for one in self.changes],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Report:
        """Read what `to_dict` gave.

        Raises:
            ValueError: another schema, or not a report.
        """
        if document.get("schema") != SCHEMA:
            raise ValueError(f"a report of schema {SCHEMA} is expected")
        try:
            return cls(
                engine=int(document["engine"]),
                edition=str(document["edition"]),
                options=tuple(map(str, document["options"])),
                positive_list=str(document["positive_list"]),
                vocabulary=int(document["vocabulary"]),
                actions={str(action): int(count) for action, count in document["actions"].items()},
                removed=tuple(map(str, document["removed"])),
                changes=tuple(Change(*map(str, one)) for one in document["changes"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise ValueError("the document is no report of the engine") from None


@dataclass(slots=True)
class Tally:
    """Counts while the engine walks; reasons only where somebody wants them.

    Attributes:
        changes: filled if it is a list.
    """

    actions: Counter[str] = field(default_factory=Counter)
    removed: list[str] = field(default_factory=list)
    changes: list[Change] | None = None

    def count(self, action: str, path: str, why: str) -> None:
        """Note what happened to the element at this path."""
        self.actions[action] += 1
        if action in _GONE:
            self.removed.append(path)
        if self.changes is not None:
            self.changes.append(Change(path, keyword_for_tag(int(path[-8:], 16)), action, why))

    def stamped(self, tags: Iterable[int]) -> None:
        """Whatever became of these at the top: the engine wrote them anew."""
        if self.changes is not None:
            paths = {f"{tag:08X}" for tag in tags}
            self.changes = [change for change in self.changes if change.path not in paths]
            self.changes += [
                Change(path, keyword_for_tag(int(path, 16)), "replaced", STAMPED) for path in sorted(paths)
            ]
