"""What you learn here: the gate clicks once in the middle of what an expert drew, and compares the answers."""

from __future__ import annotations

import numpy as np
from engines import examined
from irp_bundle import Pipeline, TorchEngine, read_bundle
from irp_training.domain.judging.clicked import click_in
from irp_training.domain.judging.scores import score_case
from training_builders import a_heart, case_files, only

from tests.bundle.marked import ByMarks, a_marked_bundle


def test_a_click_lies_deepest_in_what_was_drawn() -> None:
    region = np.zeros((9, 9), np.bool_)
    region[2:9, 2:9] = True
    region[0, 0] = True
    assert np.argwhere(click_in(region)).tolist() == [[5, 5]]


def test_a_model_that_takes_marks_is_scored_by_one_click_on_each_drawn_slice() -> None:
    bundle, engine = read_bundle(a_marked_bundle()), ByMarks()
    volume, truth = a_heart(1)
    scores = score_case(Pipeline(bundle, engine), volume, truth)
    # A disk of two of 32 pixels in a picture of 72: 113 of the pool's 200 pixels, or less.
    assert 0.3 < scores["lv_blood_pool"] < 0.8
    assert [stage for stage, _ in engine.passes] == ["encode", "segment"]
    assert score_case(Pipeline(bundle, engine), volume, only(truth, "rv_blood_pool")) == {}


def test_the_gate_reads_such_a_bundle_as_any_other() -> None:
    volume, truth = a_heart(2)
    (found,) = examined([a_marked_bundle()], case_files([("validation", volume, truth)]))
    (scores,) = found.scores.values()
    bundle = read_bundle(a_marked_bundle())
    assert scores == score_case(Pipeline(bundle, TorchEngine(bundle)), volume, truth)
