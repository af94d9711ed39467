"""What you learn here: several looks and members are averaged as probabilities, and how sure they are is told."""

from __future__ import annotations

import numpy as np
import pytest
from irp_bundle import SYMMETRIES, AugmentationsNotDeclared, BundleTooLarge, Options, Pipeline, TorchEngine, complete
from irp_bundle.certainty import SoftDice, entropy
from irp_bundle.scores import ask, softmax
from numpy.typing import NDArray

from .builders import STRUCTURES, a_declared_bundle, a_heart, by_brightness

UNSURE = Options(uncertainty=True)


def test_the_mean_of_all_looks_is_laid_as_the_image_is() -> None:
    bundle = a_declared_bundle({"segment": {"size": 32}})
    engine = TorchEngine(bundle)
    image = np.random.default_rng(0).normal(size=(2, 1, 32, 32)).astype(np.float32)
    mean = complete(ask(("segment",), tuple(SYMMETRIES), image), engine)
    for way in SYMMETRIES.values():
        turned = complete(ask(("segment",), tuple(SYMMETRIES), way.apply(image).copy()), engine)
        assert turned == pytest.approx(way.apply(mean), abs=1e-4)


def test_members_are_averaged_as_probabilities() -> None:
    bundle = a_declared_bundle({"segment": {"size": 32}}, members=3)
    assert bundle.members == ("segment", "segment-2", "segment-3")
    engine = TorchEngine(bundle)
    image = np.random.default_rng(0).normal(size=(2, 1, 32, 32)).astype(np.float32)
    mean = complete(ask(bundle.members, (), image), engine)
    expected = np.mean([softmax(engine(member, image)) for member in bundle.members], axis=0)
    assert np.exp(mean) == pytest.approx(expected, abs=1e-6)
    assert not np.allclose(softmax(engine("segment", image)), expected)


def test_an_ensemble_is_bounded() -> None:
    with pytest.raises(BundleTooLarge):
        a_declared_bundle({}, members=6)


def test_looking_again_must_be_declared() -> None:
    volume, _ = a_heart()
    often = Options(test_time_augmentation=True)
    with pytest.raises(AugmentationsNotDeclared):
        Pipeline(a_declared_bundle({}), by_brightness).run(volume, options=often)
    pipeline = Pipeline(a_declared_bundle({"augment": ["flip-rows", "turn-90"]}), by_brightness)
    _, report = pipeline.run(volume, slices=[0], options=often)
    assert report.parameters["segment.augmentations"] == "flip-rows,turn-90"


def test_what_is_told_of_certainty_changes_no_label() -> None:
    volume, _ = a_heart()
    pipeline = Pipeline(a_declared_bundle({}, locate=True), by_brightness)
    plain, told = pipeline.segment(volume), pipeline.segment(volume, options=UNSURE)
    assert np.array_equal(plain.labels, told.labels)
    assert plain.uncertainty is None
    assert plain.estimate.dice is None
    assert told.uncertainty is not None
    assert told.uncertainty.shape == told.labels.shape
    assert set(told.estimate.expected_dice) == set(STRUCTURES)


def test_entropy_is_0_where_one_channel_is_sure_and_255_where_all_are_alike() -> None:
    scores = np.zeros((1, 4, 1, 2), np.float32)
    scores[0, 2, 0, 1] = 100
    assert entropy(softmax(scores))[0, 0, 0].tolist() == pytest.approx([255, 0], abs=1e-3)


def test_uncertainty_is_0_outside_the_window() -> None:
    def unsure(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        return by_brightness(stage, batch) * (1 if stage == "locate" else 0)

    volume, _ = a_heart()
    found = Pipeline(a_declared_bundle({}, locate=True), unsure).segment(volume, options=UNSURE)
    assert found.uncertainty is not None
    row, column, side = found.report.located.windows[0]
    assert found.uncertainty[0, 0, round(row), round(column)] == 255
    assert not found.uncertainty[0, 0, : int(row - side / 2)].any()


def test_the_expected_dice_is_the_mean_over_truths_that_follow_the_probabilities() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 1, 60, 60)).cumsum(axis=2).cumsum(axis=3) / 20
    p = (1 / (1 + np.exp(-logits))).astype(np.float32)
    sums = SoftDice()
    sums.add(np.concatenate([1 - p, p], axis=1))
    chosen = p[0, 0] > 0.5
    truths = [rng.random(chosen.shape) < p[0, 0] for _ in range(200)]
    real = np.mean([2 * (truth & chosen).sum() / (truth.sum() + chosen.sum()) for truth in truths])
    assert sums.of({"pool": 1})["pool"] == pytest.approx(real, abs=0.005)
