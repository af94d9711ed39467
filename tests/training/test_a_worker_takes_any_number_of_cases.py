"""What you learn here: a process asks for each case, so that it and the room never wait for one another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from engines import BOUNDS
from irp_kernel import encode_mask, encode_volume
from irp_training.adapters.worker import ProcessWorker
from irp_training.app.work_ports import CaseFiles, StoredFile
from irp_training.domain.learning.plan import Said
from irp_training.domain.run import ModelRef
from irp_training.domain.validations.plan import ValidationPlan
from precision_builders import a_threshold
from training_builders import a_case, a_heart, only

MANY = 1000  # a socket holds some 280 of the shortest messages
LIMIT_S = 120.0


class Hearts:
    """As many as are wanted, whose structures nobody judged: the answer to each is there at once."""

    def __init__(self, count: int) -> None:
        self._count, self.read = count, 0

    @property
    def files(self) -> CaseFiles:
        """Said one after the other, and counted."""
        volume, mask = a_heart(0, slices=1, size=16)
        volume_file, mask_file = encode_volume(volume), encode_mask(only(mask))

        async def read() -> AsyncIterator[StoredFile]:
            for number in range(self._count):
                self.read = number + 1
                yield a_case(number), "validation", volume_file, mask_file

        return read


async def test_an_appraisal_of_thousands_of_cases_ends_and_tells_how_far_it_is() -> None:
    hearts, heard = Hearts(MANY), list[tuple[int, int]]()

    async def listen(done: int) -> None:
        heard.append((done, hearts.read))

    async with asyncio.timeout(LIMIT_S):
        found = await ProcessWorker("cpu", BOUNDS).appraise(a_threshold(), hearts.files, listen)
    assert found == [{}] * MANY
    assert [done for done, _ in heard] == list(range(1, MANY + 1))
    # What is done is told while it is done: the one that is worked on, and one more, are read.
    assert all(read - done <= 2 for done, read in heard)


async def test_the_gate_tells_of_each_case_when_it_is_measured() -> None:
    hearts, heard = Hearts(6), list[tuple[int, int]]()

    async def listen(done: int) -> None:
        heard.append((done, hearts.read))

    async with asyncio.timeout(LIMIT_S):
        mine, theirs = await ProcessWorker("cpu", BOUNDS).examine([a_threshold()] * 2, hearts.files, listen)
    assert len(mine.scores) == len(theirs.scores)
    assert [done for done, _ in heard] == [1, 2, 3, 4, 5, 6]
    assert all(
        done <= read <= done + 2 for done, read in heard
    )  # not when it is handed over, which is one or two before


async def test_a_validation_of_thousands_of_cases_ends() -> None:
    plan = ValidationPlan(
        bundle=a_threshold(),
        model=ModelRef(name="tiny", version=1, digest="d" * 64),
        dataset="0" * 64,
        project="demo",
        split="validation",
        cases=MANY,
        known=True,
        created_at="2026-01-01T00:00:00Z",
    )
    heard: list[Said] = []

    async def listen(said: Said) -> bool:
        heard.append(said)
        return True

    async with asyncio.timeout(LIMIT_S):
        outcome = await ProcessWorker("cpu", BOUNDS).validate(plan, Hearts(MANY).files, listen)
    assert "report.json" in outcome.files
    assert len(heard) == MANY + 1


async def test_a_store_that_is_away_ends_the_work_and_its_process() -> None:
    worker = ProcessWorker("cpu", BOUNDS)

    async def files() -> AsyncIterator[StoredFile]:
        async for file in Hearts(3).files():
            yield file
        raise ConnectionError

    async def listen(_: int) -> None:
        return None

    async with asyncio.timeout(LIMIT_S):
        with pytest.raises(ConnectionError):
            await worker.appraise(a_threshold(), files, listen)
    assert not worker._processes
