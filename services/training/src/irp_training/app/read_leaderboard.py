"""Scores so far -> the leaderboard; nobody sees more than means over the whole test set."""

from __future__ import annotations

from dataclasses import dataclass

from irp_training.app.challenge_ports import Challenges
from irp_training.app.ports import Clock
from irp_training.app.rankings import Rankings
from irp_training.domain.challenges.challenge import Challenge, Entry
from irp_training.domain.challenges.leaderboard import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Ranked entries, best first; `final` once the deadline has passed and every entry has ended."""

    challenge: Challenge
    rows: tuple[tuple[Entry, Row], ...]
    unranked: tuple[Entry, ...]
    open: bool

    @property
    def final(self) -> bool:
        """True if nothing can change any more."""
        return not self.open and all(entry.ended for entry in self.unranked)


class ReadLeaderboard:
    """Ranks what is scored."""

    def __init__(self, challenges: Challenges, now: Clock) -> None:
        self._challenges, self._rankings, self._now = challenges, Rankings(challenges), now

    async def __call__(self, name: str) -> Leaderboard:
        """The leaderboard as it is. Raises ChallengeUnknown."""
        challenge = await self._challenges.challenge(name)
        entries = {entry.id: entry for entry in await self._challenges.entries(name)}
        # In the order in which they were entered: of equal places the earlier entry stands first.
        rows = await self._rankings.of(challenge, [entry for entry in entries.values() if entry.state == "scored"])
        return Leaderboard(
            challenge=challenge,
            rows=tuple((entries[row.entry], row) for row in rows),
            unranked=tuple(entry for entry in entries.values() if entry.state != "scored"),
            open=challenge.open_at(self._now()),
        )
