"""What you learn here: a live session speaks with the replica of each series, and goes on where one dies or is full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from irp_chassis.auth import TokenMinter
from irp_gateway.adapters.live_frames import SegmentFrame
from irp_gateway.adapters.live_line import LiveLine
from irp_gateway.adapters.rooms import series_key

from .two_replicas import SERIES, Pair, a_request, two_replicas


@pytest.fixture
async def pair(key_files: tuple[Path, Path], minter: TokenMinter) -> AsyncIterator[Pair]:
    async with two_replicas(key_files, minter) as found:
        yield found


class Reader:
    """A live session."""

    def __init__(self, pair: Pair) -> None:
        self.line = LiveLine(pair.line)

    def ask(self, id: str, series: str, **more: Any) -> None:
        said = {"type": "segment", "id": id, "series": series, "model": "cine", "slice": 0, **more}
        frame = SegmentFrame.model_validate(said)
        request = frame.to_proto(a_request(series).project)
        self.line.ask(frame, request)

    async def hear(self) -> tuple[str, str, str]:
        async with asyncio.timeout(10):
            header, _ = await self.line.said.get()
        return header["id"], header["type"], header.get("reason", "")


@pytest.fixture
async def reader(pair: Pair) -> AsyncIterator[Reader]:
    found = Reader(pair)
    yield found
    await found.line.close()


def two_series(pair: Pair) -> tuple[str, str]:
    """Of different replicas."""
    return SERIES[0], next(series for series in SERIES if pair.owner(series) is pair.other(SERIES[0]))


async def test_a_session_that_looks_at_two_series_speaks_with_the_replicas_of_both(pair: Pair, reader: Reader) -> None:
    one, other = two_series(pair)
    for name, series in (("a", one), ("b", other), ("c", one)):
        reader.ask(name, series)
        assert await reader.hear() == (name, "answer", "")
    assert pair.owner(one).asked == [one, one]
    assert pair.owner(other).asked == [other]


async def test_an_ask_for_another_series_supersedes_what_its_neighbour_has_not_answered(
    pair: Pair, reader: Reader
) -> None:
    one, other = two_series(pair)
    pair.owner(one).silent = True
    reader.ask("old", one)
    reader.ask("kept", one, keep=True)
    await pair.owner(one).heard.wait()
    reader.ask("new", other)
    assert {await reader.hear(), await reader.hear()} == {("old", "dropped", "superseded"), ("new", "answer", "")}
    assert pair.owner(one).cancelled == ["old"]
    assert list(reader.line.open) == ["kept"]


async def test_asks_under_way_on_a_killed_replica_are_answered_by_the_other(pair: Pair, reader: Reader) -> None:
    gone, stays = pair.owner(SERIES[0]), pair.other(SERIES[0])
    gone.silent = True
    reader.ask("older", SERIES[0])
    reader.ask("kept", SERIES[0], keep=True)
    reader.ask("newest", SERIES[0])
    await pair.until(lambda: len(gone.asked) == 3)
    await gone.die()
    heard = {await reader.hear() for _ in range(3)}
    assert heard == {("older", "dropped", "superseded"), ("kept", "answer", ""), ("newest", "answer", "")}
    assert stays.asked == [SERIES[0]] * 2


async def test_if_both_are_killed_the_ask_ends_with_a_problem_and_the_session_lives_on(
    pair: Pair, reader: Reader
) -> None:
    for one in pair.replicas.values():
        one.silent = True
    reader.ask("a", SERIES[0])
    await pair.owner(SERIES[0]).heard.wait()
    owner = pair.owner(SERIES[0])
    for one in pair.replicas.values():
        await one.die()
    assert await reader.hear() == ("a", "problem", "ROOM_AWAY")
    owner.silent = False
    await owner.start()
    await pair.until(lambda: bool(pair.line.near("any")))
    reader.ask("a", SERIES[0])
    assert await reader.hear() == ("a", "answer", "")


async def test_what_waits_at_a_replica_whose_line_was_closed_is_answered_by_the_other(
    pair: Pair, reader: Reader
) -> None:
    gone, stays = pair.owner(SERIES[0]), pair.other(SERIES[0])
    gone.silent = True
    reader.ask("a", SERIES[0])
    await gone.heard.wait()
    closing = pair.line.near(series_key(a_request(SERIES[0])))[0]
    assert closing.address == f"127.0.0.1:{gone.port}"
    await closing.client.close()  # as is done where a replica has been away for minutes
    assert await reader.hear() == ("a", "answer", "")
    assert stays.asked == [SERIES[0]]


async def test_an_ask_is_taken_back_once_however_often_that_is_said(pair: Pair, reader: Reader) -> None:
    owner = pair.owner(SERIES[0])
    owner.silent = True
    reader.ask("a", SERIES[0])
    await owner.heard.wait()
    for _ in range(5):
        reader.line.cancel("a")
    assert await reader.hear() == ("a", "dropped", "cancelled")
    owner.silent = False
    reader.ask("b", SERIES[0])
    assert await reader.hear() == ("b", "answer", "")
    assert owner.cancelled == ["a"]


async def test_a_full_replica_sends_a_reader_to_the_next(pair: Pair, reader: Reader) -> None:
    pair.owner(SERIES[0]).full = True
    reader.ask("a", SERIES[0])
    assert await reader.hear() == ("a", "answer", "")
    assert pair.other(SERIES[0]).asked == [SERIES[0]]


async def test_a_whole_series_begins_anew_at_the_other_replica(pair: Pair, reader: Reader) -> None:
    gone, stays = pair.owner(SERIES[0]), pair.other(SERIES[0])
    gone.silent = True
    reader.ask("all", SERIES[0], slice=None)
    await gone.heard.wait()
    reader.ask("now", SERIES[0])  # a slice, beside it
    await pair.until(lambda: len(gone.asked) == 2)
    await gone.die()
    assert {await reader.hear(), await reader.hear()} == {("all", "answer", ""), ("now", "answer", "")}
    assert stays.asked == [SERIES[0]] * 2
