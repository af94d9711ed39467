"""Ranks of challenges, computed once for each set of scored entries: resampling takes seconds where there are many."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from irp_training.app.challenge_ports import Challenges
from irp_training.domain.challenges.challenge import Challenge, Entry
from irp_training.domain.challenges.leaderboard import Row, rank

KEPT = 64  # challenges
Scored = tuple[tuple[str, int], ...]  # (entry, attempt): what is scored once does not change
Ranking = asyncio.Task[Sequence[Row]]


class Rankings:
    """Remembers the newest ranks of each challenge; of one challenge, one computation works at a time."""

    def __init__(self, challenges: Challenges) -> None:
        self._challenges = challenges
        self._kept: dict[str, tuple[Scored, Ranking]] = {}

    async def of(self, challenge: Challenge, entries: Sequence[Entry]) -> Sequence[Row]:
        """The rows of scored entries, which come in the order that decides between equal ones."""
        scored = tuple((entry.id, entry.attempt) for entry in entries)
        known, ranking = self._kept.pop(challenge.name, (None, None))
        if ranking is None or known != scored or _failed(ranking):
            ranking = asyncio.create_task(self._rank(challenge, scored, after=ranking))
        self._kept[challenge.name] = (scored, ranking)  # the newest stands last
        self._forget()
        return await asyncio.shield(ranking)  # who asked may leave: others wait for the same

    async def _rank(self, challenge: Challenge, scored: Scored, after: Ranking | None) -> Sequence[Row]:
        if after is not None:
            await asyncio.wait({after})
        scores = await self._challenges.scores(challenge.name)
        found = {entry: scores[entry] for entry, _ in scored}
        return await asyncio.to_thread(rank, found, challenge.metrics, challenge.structures)

    def _forget(self) -> None:
        for name in [name for name, (_, ranking) in self._kept.items() if ranking.done()]:
            if len(self._kept) > KEPT:
                del self._kept[name]


def _failed(ranking: Ranking) -> bool:
    return ranking.done() and (ranking.cancelled() or ranking.exception() is not None)
