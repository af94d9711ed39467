"""What you learn here: batches made in threads, while the net learns, are those that it would have waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from irp_bundle import SegmentSpec
from irp_training.domain.feeding.ahead import made_ahead
from irp_training.domain.learning.tempo import Tempo
from irp_training.domain.learning.trainer import Trainer
from irp_training.domain.networks.build import definitions, fresh
from irp_training.domain.samples.examples import examples_of
from irp_training.domain.samples.stages import Segment
from training_builders import HEART, TINY, a_heart


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_what_is_made_ahead_comes_in_order(threads: int) -> None:
    assert list(made_ahead(lambda number: number * number, range(7), threads)) == [n * n for n in range(7)]


def test_no_more_is_made_ahead_than_there_are_threads() -> None:
    made: list[int] = []
    results = made_ahead(lambda number: made.append(number) or number, range(100), 2)
    assert next(results) == 0
    results.close()
    assert len(made) <= 3


def test_an_error_comes_to_whoever_asks_for_the_result() -> None:
    def make(number: int) -> float:
        return 1 / (2 - number)

    results = made_ahead(make, range(4), 2)
    assert [next(results), next(results)] == [0.5, 1.0]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_it_is_other_threads_that_work_ahead() -> None:
    names = set(made_ahead(lambda _: threading.current_thread().name, range(4), 2))
    assert threading.current_thread().name not in names


def test_a_pass_says_how_many_slices_it_learnt_from_and_how_long_it_waited_for_them() -> None:
    now = [0.0]

    def slow_batches() -> Iterator[int]:
        for number in range(4):
            now[0] += 1.5  # seconds until a batch is there
            yield number

    tempo = Tempo(torch.device("cpu"), lambda: now[0])
    tempo.begin()
    for _ in tempo.waiting_for(slow_batches(), 6):
        now[0] += 0.5  # seconds of learning from it
    figures = tempo.figures()
    assert (figures["samples_per_s"], figures["waiting_share"]) == (3.0, 0.75)
    assert "gpu_memory_mib" not in figures


def test_weights_and_scores_do_not_depend_on_the_threads_that_work_ahead() -> None:
    examples = [example for seed in range(2) for example in examples_of(*a_heart(seed), HEART)]

    def learnt(threads: int) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
        net = fresh(definitions(TINY, HEART, None)["network_def"], 1)
        stage = Segment(HEART, SegmentSpec(size=64), 2.4)
        trainer = Trainer(net, stage, examples, TINY, torch.device("cpu"), threads_ahead=threads)
        list(trainer.epoch())
        return trainer.weights(), trainer.validate(examples)

    (alone, scores), (ahead, scores_ahead) = learnt(0), learnt(3)
    assert scores == scores_ahead
    for name, weight in alone.items():
        assert torch.equal(weight, ahead[name])
