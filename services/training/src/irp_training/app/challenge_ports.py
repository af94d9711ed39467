"""What the verbs about challenges need; the adapters say how each is done."""

# ruff: noqa: D102 - a port is its signature

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from irp_training.app.work_ports import CaseFiles
from irp_training.domain.challenges.challenge import CaseScore, Challenge, Entry, Metric


class Challenges(Protocol):
    """The rows of challenges and of their entries."""

    async def add(self, challenge: Challenge) -> Challenge:
        """Keep it; raises ChallengeExists if another one has its name."""
        ...

    async def challenge(self, name: str) -> Challenge:
        """Raises ChallengeUnknown."""
        ...

    async def challenges(self, name: str = "") -> list[Challenge]: ...

    async def enter(self, entry: Entry, most: int) -> Entry:
        """Add and queue it, or answer it if it is there and did not fail; raises TooManyEntries beyond `most`."""
        ...

    async def entry(self, challenge: str, entry_id: str) -> Entry:
        """Raises EntryUnknown."""
        ...

    async def entries(self, challenge: str) -> list[Entry]:
        """In the order in which they were entered."""
        ...

    async def save_entry(self, entry: Entry, cases: Sequence[CaseScore] = ()) -> bool:
        """Keep a change and, at the end, its scores; False if it has ended, or was begun anew, meanwhile."""
        ...

    async def scores(self, challenge: str) -> Mapping[str, Sequence[CaseScore]]:
        """Of the scored entries, by entry."""
        ...


class Examiner(Protocol):
    """Where models are scored: a process of its own."""

    async def score_entry(
        self, bundle: bytes, files: CaseFiles, structures: tuple[str, ...], metrics: tuple[Metric, ...]
    ) -> list[CaseScore]: ...
