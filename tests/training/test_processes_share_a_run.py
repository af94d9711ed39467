"""What you learn here: two processes that share every batch learn what one learns, and one that dies ends no run."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from typing import Any

import pytest
import torch
from engines import BOUNDS
from irp_bundle import read_bundle
from irp_training.adapters.exchange import WorkerDied
from irp_training.adapters.ranks import RankLost, devices_of
from irp_training.adapters.worker import ProcessWorker
from irp_training.domain.feeding.ranks import Alone, share
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Said
from training_builders import TINY, a_plan, as_stream, some_files

# Three slices per step: shares are not of equal size.
RECIPE = replace(TINY, locate_epochs=1, segment_epochs=2, batch=3, checkpoint_epochs=1)


async def test_a_run_shared_by_two_processes_learns_what_one_learns_also_when_one_was_killed() -> None:
    files, plan = some_files(), a_plan(RECIPE)
    alone: list[Said] = []
    one = Lesson(plan, alone.append)(files, None)

    worker, said = ProcessWorker("cpu", BOUNDS, processes=2), list[Said]()

    async def listen_and_kill(report: Said) -> bool:
        said.append(report)
        if len(said) == 2:
            victim = max(worker._processes, key=lambda process: process.pid or 0)
            os.kill(victim.pid or 0, signal.SIGKILL)
        return True

    async def listen(report: Said) -> bool:
        said.append(report)
        return True

    with pytest.raises((WorkerDied, RankLost)):
        await worker.train(plan, as_stream(files), None, listen_and_kill)
    assert not worker._processes
    checkpoint = next(report.checkpoint for report in reversed(said) if report.checkpoint)
    two = await worker.train(plan, as_stream(files), checkpoint, listen)
    assert two is not None

    wanted = {(m.epoch, m.name): m.value for report in alone for m in report.metrics if "_loss" in m.name}
    found = {(m.epoch, m.name): m.value for report in said for m in report.metrics if "_loss" in m.name}
    assert found == pytest.approx(wanted, rel=1e-4)
    seen, shown = ({(o.epoch, o.which): o.dice for one in reports for o in one.overlays} for reports in (alone, said))
    assert shown == pytest.approx(seen, abs=0.05)  # of all slices, whichever process looked at them
    mine, theirs = read_bundle(two.bundle), read_bundle(one.bundle)
    for role, weights in theirs.weights.items():
        for name, tensor in weights.items():
            # A bias before a normalisation has no effect, and its gradient is rounding.
            assert name.endswith("bias") or torch.allclose(mine.weights[role][name], tensor, atol=2e-3), name
    assert two.cases == [_nearly(case) for case in one.cases]  # the same patients, nearly the same masks


def _nearly(case: dict[str, Any]) -> dict[str, Any]:
    distances = {name: pytest.approx(found, rel=0.1, abs=2.0) for name, found in case["distances"].items()}
    return {**case, "after": pytest.approx(case["after"], abs=0.02), "distances": distances}


class _Of:
    """A rank of several."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


@pytest.mark.parametrize(("count", "size"), [(12, 5), (3, 2), (8, 8), (0, 2)])
def test_shares_together_are_all_places_each_once(count: int, size: int) -> None:
    places = [place for rank in range(size) for place in range(count)[share(_Of(rank, size), count)]]  # type: ignore[arg-type]
    assert places == list(range(count))
    assert range(count)[share(Alone(), count)] == range(count)


def test_without_gpus_there_is_one_process_unless_more_are_wanted() -> None:
    assert devices_of("cpu", 0) == ["cpu"]
    assert devices_of("cpu", 2) == ["cpu", "cpu"]
    assert devices_of("cuda:1", 4) == ["cuda:1"]
