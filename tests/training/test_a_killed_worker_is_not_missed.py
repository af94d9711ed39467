"""What you learn here: a worker killed by SIGKILL costs at most one checkpoint interval; the weights do not notice."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest
import torch
from engines import BOUNDS
from irp_bundle import read_bundle
from irp_training.adapters.exchange import WorkerDied
from irp_training.adapters.worker import ProcessWorker
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Said
from irp_training.domain.run import Metric
from training_builders import TINY, a_plan, as_stream, some_files

RECIPE = replace(TINY, segment_epochs=5, checkpoint_epochs=2)


def weights_of(bundle: bytes) -> dict[str, torch.Tensor]:
    read = read_bundle(bundle)
    return {f"{role}.{name}": t for role, state in read.weights.items() for name, t in state.items()}


async def test_resumed_weights_equal_those_of_an_unkilled_run_and_one_interval_repeats_at_most() -> None:
    files, plan = some_files(), a_plan(RECIPE)
    unkilled = Lesson(plan, lambda _said: None)(files, None)

    worker = ProcessWorker("cpu", BOUNDS)
    epochs: list[int] = []
    latest: list[bytes] = []

    async def listen_and_kill(said: Said) -> bool:
        keep(said)
        if len(epochs) == 5:  # in stage 2, one epoch after a checkpoint
            for process in worker._processes:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
        return True

    def keep(said: Said) -> None:
        epochs.extend({metric.epoch for metric in said.metrics})
        if said.checkpoint is not None:
            latest.append(said.checkpoint)

    async def listen(said: Said) -> bool:
        keep(said)
        return True

    with pytest.raises(WorkerDied):
        await worker.train(plan, as_stream(files), None, listen_and_kill)
    outcome = await worker.train(plan, as_stream(files), latest[-1], listen)
    assert outcome is not None
    repeated = len(epochs) - len(set(epochs))
    assert 0 <= repeated <= RECIPE.checkpoint_epochs
    assert sorted(set(epochs)) == list(range(1, RECIPE.locate_epochs + RECIPE.segment_epochs + 1))

    resumed, whole = weights_of(outcome.bundle), weights_of(unkilled.bundle)
    assert resumed.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.equal(resumed[name], tensor), name
    assert outcome.bundle == unkilled.bundle


def test_the_same_plan_gives_the_same_bytes_and_another_seed_does_not() -> None:
    files = some_files()
    short = replace(TINY, locate_epochs=1, segment_epochs=1)
    bundles = [
        Lesson(a_plan(recipe), lambda _said: None)(files, None).bundle
        for recipe in (short, short, replace(short, seed=8))
    ]
    assert bundles[0] == bundles[1]
    assert bundles[0] != bundles[2]


async def test_a_cancelled_run_ends_its_process() -> None:
    worker = ProcessWorker("cpu", BOUNDS)

    async def never(_said: Said) -> bool:
        return False

    assert await worker.train(a_plan(replace(TINY, segment_epochs=200)), as_stream(some_files()), None, never) is None
    assert not worker._processes


def test_metrics_say_loss_and_dice_per_structure_and_how_long_it_takes() -> None:
    said: list[Said] = []
    Lesson(a_plan(), said.append)(some_files(), None)
    metrics: list[Metric] = [metric for one in said for metric in one.metrics]
    assert {m.name for m in metrics} >= {"locate_loss", "segment_loss", "val_dice_lv_blood_pool"}
    assert [one.progress.fraction for one in said] == sorted(one.progress.fraction for one in said)
    assert said[0].progress.eta_s > 0


def test_fine_tuning_keeps_the_first_net_and_may_drop_a_structure() -> None:
    files = some_files()
    base = Lesson(a_plan(), lambda _said: None)(files, None)
    recipe = replace(TINY, stages=("segment",), structures=("lv_blood_pool", "lv_myocardium"), licence="")
    tuned = Lesson(a_plan(recipe, base.bundle), lambda _said: None)(files, None)
    before, after = read_bundle(base.bundle), read_bundle(tuned.bundle)
    assert after.structures == ("lv_blood_pool", "lv_myocardium")
    assert after.licence == before.licence == "CC0-1.0"
    for name, tensor in before.weights["locate"].items():
        assert torch.equal(after.weights["locate"][name], tensor)
    case = tuned.cases[0]
    assert set(case["before"]) == {"lv_blood_pool", "lv_myocardium"} | set(case["before"])
    assert case["split"] == "validation"
    assert after.metadata["dataset_digest"] == "0" * 64
    assert "tiny@1" in after.card
