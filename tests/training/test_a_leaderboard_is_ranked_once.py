"""What you learn here: who reads a leaderboard again costs nothing; only a new score is ranked, once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from irp_training.app import rankings
from irp_training.app.rankings import Rankings
from irp_training.app.read_leaderboard import ReadLeaderboard
from irp_training.domain.challenges.challenge import CaseScore, Challenge, Entry
from irp_training.domain.challenges.leaderboard import rank
from irp_training.domain.run import DatasetRow, ModelRef
from training_builders import a_ref

AT = "2026-01-01T00:00:00+00:00"


class Scores:
    """What is scored: entry "e3" has a Dice of 0.3 on both patients."""

    def __init__(self) -> None:
        self.read = 0

    async def challenge(self, name: str) -> Challenge:
        return a_challenge(name)

    async def entries(self, challenge: str) -> list[Entry]:
        one, two, three = entries(1, 2, 3)
        return [replace(one, state="scored"), two, replace(three, state="scored")]

    async def scores(self, challenge: str) -> Mapping[str, Sequence[CaseScore]]:
        self.read += 1
        return {f"e{n}": [_case(patient, n / 10) for patient in ("a", "b")] for n in range(1, 6)}


def _case(patient: str, dice: float) -> CaseScore:
    return CaseScore(series=f"of {patient}", patient=patient, values={"dice": {"scar": dice}})


def a_challenge(name: str = "scars") -> Challenge:
    return Challenge(
        name=name,
        title="",
        project="demo",
        dataset=DatasetRow(digest="d", manifest=a_ref(), training=0, validation=0, test=2),
        cases=2,
        patients=2,
        structures=("scar",),
        metrics=("dice",),
        deadline=AT,
        entries_per_team=5,
        actor="ada",
        created_at=AT,
    )


def entries(*numbers: int, attempt: int = 1) -> list[Entry]:
    ref = ModelRef(name="net", version=1, digest="d")
    return [
        Entry(challenge="scars", id=f"e{n}", team="t", kind="model", ref=ref, entered_at=AT, attempt=attempt)
        for n in numbers
    ]


class Counted:
    """Ranks slowly, and counts how many rank at the same time."""

    def __init__(self, trouble: bool = False) -> None:
        self.done, self.now, self.most, self._lock, self.trouble = 0, 0, 0, threading.Lock(), trouble

    def __call__(self, *given: Any) -> Any:
        with self._lock:
            self.done, self.now = self.done + 1, self.now + 1
            self.most = max(self.most, self.now)
        time.sleep(0.05)
        with self._lock:
            self.now -= 1
        if self.trouble:
            raise MemoryError
        return rank(*given)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    counted = Counted()
    monkeypatch.setattr(rankings, "rank", counted)
    return counted


async def test_the_same_entries_are_ranked_once_however_many_ask(counted: Counted) -> None:
    kept = Rankings(scores := Scores())  # type: ignore[arg-type]
    boards = await asyncio.gather(*(kept.of(a_challenge(), entries(1, 2)) for _ in range(20)))
    assert [row.entry for row in await kept.of(a_challenge(), entries(1, 2))] == ["e2", "e1"]
    assert all(board is boards[0] for board in boards)
    assert (counted.done, scores.read) == (1, 1)


async def test_a_leaderboard_that_is_read_again_is_not_ranked_again(counted: Counted) -> None:
    read = ReadLeaderboard(Scores(), lambda: AT)  # type: ignore[arg-type]
    boards = [await read("scars") for _ in range(3)]
    assert [(entry.id, row.position) for entry, row in boards[-1].rows] == [("e3", 1), ("e1", 2)]
    assert [entry.id for entry in boards[-1].unranked] == ["e2"]
    assert counted.done == 1


async def test_a_new_score_or_attempt_is_ranked_anew_one_after_the_other(counted: Counted) -> None:
    kept = Rankings(Scores())  # type: ignore[arg-type]
    asked = (entries(1), entries(1, 3), entries(1, 3, attempt=2))
    boards = await asyncio.gather(*(kept.of(a_challenge(), some) for some in asked))
    assert [len(board) for board in boards] == [1, 2, 2]
    assert (counted.done, counted.most) == (3, 1)


async def test_who_leaves_before_the_end_starts_no_second_computation(counted: Counted) -> None:
    kept = Rankings(Scores())  # type: ignore[arg-type]
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(kept.of(a_challenge(), entries(1, 2)), 0.001)
    assert len(await kept.of(a_challenge(), entries(1, 2))) == 2
    assert counted.done == 1


async def test_a_failure_is_not_remembered(counted: Counted) -> None:
    kept = Rankings(Scores())  # type: ignore[arg-type]
    counted.trouble = True
    with pytest.raises(MemoryError):
        await kept.of(a_challenge(), entries(1))
    counted.trouble = False
    assert len(await kept.of(a_challenge(), entries(1))) == 1


async def test_a_bounded_number_of_challenges_is_remembered(counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rankings, "KEPT", 2)
    kept = Rankings(Scores())  # type: ignore[arg-type]
    for name in ("one", "two", "one", "three", "one"):
        await kept.of(a_challenge(name), entries(1))
    assert (counted.done, set(kept._kept)) == (3, {"one", "three"})
