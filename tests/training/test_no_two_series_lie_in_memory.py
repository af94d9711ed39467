"""What you learn here: a run decodes one series at a time, also of those that judge it, which are read twice."""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import BOUNDS
from irp_kernel import Volume, decode_volume
from irp_training.adapters.worker import ProcessWorker
from irp_training.domain.learning import examination, pupils
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import CaseFile, Said
from training_builders import TINY, a_heart, a_plan, case_files, some_files

RECIPE = replace(TINY, locate_epochs=1, segment_epochs=1)


class Alive:
    """Counts the images that lie in memory, with everything that is cut out of them without a copy."""

    def __init__(self) -> None:
        self.now = self.most = self.decoded = 0

    def decode(self, data: bytes | memoryview) -> Volume:
        volume = decode_volume(data)
        array = volume.array.copy()  # owns its voxels: whoever keeps a part keeps it
        self.now, self.decoded = self.now + 1, self.decoded + 1
        self.most = max(self.most, self.now)
        weakref.finalize(array, self._gone)
        return Volume(geometry=volume.geometry, array=array)

    def _gone(self) -> None:
        self.now -= 1


def files_of_a_run(held_out: int) -> list[CaseFile]:
    tests = case_files([("test", *a_heart(100 + seed)) for seed in range(held_out - held_out // 2)])
    return [*some_files(training=2, validation=held_out // 2), *tests]


@pytest.mark.parametrize("held_out", [2, 9])
def test_one_series_lies_in_memory_however_many_judge(held_out: int, monkeypatch: pytest.MonkeyPatch) -> None:
    alive = Alive()
    monkeypatch.setattr(pupils, "decode_volume", alive.decode)
    monkeypatch.setattr(examination, "decode_volume", alive.decode)
    gc.disable()  # what only the collector would free counts as kept
    try:
        outcome = Lesson(a_plan(RECIPE), lambda _said: None)(files_of_a_run(held_out), None)
    finally:
        gc.enable()
    assert len(outcome.cases) == held_out
    assert alive.decoded == 2 + 2 * held_out
    assert (alive.most, alive.now) == (1, 0)


async def test_a_process_reads_those_that_judge_it_anew_and_finds_the_same() -> None:
    files, asked = files_of_a_run(3), list[Collection[str]]()

    async def read(only: Collection[str] = ()) -> AsyncIterator[CaseFile]:
        asked.append(tuple(only))
        for file in files:
            if not only or file[1] in only:
                yield file

    async def listen(_: Said) -> bool:
        return True

    outcome = await ProcessWorker("cpu", BOUNDS).train(a_plan(RECIPE), read, None, listen)
    alone = Lesson(a_plan(RECIPE), lambda _said: None)(files, None)
    assert outcome is not None
    assert (outcome.cases, outcome.bundle) == (alone.cases, alone.bundle)
    assert asked == [(), ("validation", "test")]


def test_files_that_can_be_read_only_once_are_refused() -> None:
    with pytest.raises(TypeError, match="twice"):
        Lesson(a_plan(RECIPE), lambda _said: None)(iter(some_files()), None)


PARENT = """
import sys, time
from multiprocessing import get_context
from irp_training.adapters.exchange import child

def work(pipe, how):
    import os
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    mine, theirs = get_context("forkserver").Pipe()
    process = get_context("forkserver").Process(target=child, args=(work, theirs, (None,)))
    process.start()
    process.join()
"""


def test_a_process_whose_room_is_killed_ends(tmp_path: Path) -> None:
    script = tmp_path / "room.py"
    script.write_text(PARENT)
    room: Any = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    with room.stdout:
        worker = int(room.stdout.readline())
        room.kill()
        room.wait(timeout=60)
        try:
            ended, _, _ = select.select([room.stdout], [], [], 60)
            assert ended  # nobody is left who could write to it
            assert room.stdout.read() == ""
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
