"""What you learn here: on a real heart that it never saw, the shipped model loses nothing by looking again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from irp_bundle import Options, Pipeline, Segmented, TorchEngine, dice, read_bundle
from irp_kernel import Mask, Volume
from openirp.demo.hearts import DICOM_PATIENTS

CINE = Path(__file__).parents[2] / "models" / "cine.zip"
POOL = 1


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    bundle = read_bundle(CINE.read_bytes())
    return Pipeline(bundle, TorchEngine(bundle))


@pytest.fixture(scope="module")
def heart(real_heart: Callable[[str], tuple[Volume, Mask]]) -> tuple[Volume, Mask, int]:
    """A patient, what the expert drew, and on which frame."""
    volume, truth = real_heart(DICOM_PATIENTS[0])
    return volume, truth, int(np.flatnonzero(truth.judged("lv_blood_pool").any(axis=1))[0])


def pool_dice(found: Segmented, truth: Mask, frame: int) -> float:
    drawn = truth.judged("lv_blood_pool")[frame]
    return dice(found.labels[0][drawn] == POOL, truth.labels[frame][drawn] == POOL)


def test_looking_again_under_every_symmetry_costs_nothing_of_the_answer(
    pipeline: Pipeline, heart: tuple[Volume, Mask, int]
) -> None:
    volume, truth, frame = heart
    once = pipeline.segment(volume, frames=[frame])
    again = pipeline.segment(volume, frames=[frame], options=Options(test_time_augmentation=True))
    assert pool_dice(again, truth, frame) > pool_dice(once, truth, frame) - 0.01
    assert again.report.parameters["segment.augmentations"].count(",") == 6


def test_it_expects_less_of_itself_on_a_noisy_image(pipeline: Pipeline, heart: tuple[Volume, Mask, int]) -> None:
    volume, truth, frame = heart
    noise = np.random.default_rng(0).normal(0, 0.15 * np.percentile(volume.array, 99), volume.array.shape)
    noisy = Volume(geometry=volume.geometry, array=volume.array + noise)
    clear, bad = (pipeline.segment(one, frames=[frame], options=Options(estimate=True)) for one in (volume, noisy))
    assert clear.estimate.dice is not None
    assert bad.estimate.dice is not None
    assert pool_dice(bad, truth, frame) < pool_dice(clear, truth, frame)
    assert bad.estimate.dice < clear.estimate.dice
