"""What you learn here: a stomach does not become a ventricle, every correction is counted, and the reader is warned."""

from __future__ import annotations

import numpy as np
import pytest
from irp_bundle import Pipeline, PipelineReport
from irp_bundle.post import Expected, post_process
from irp_bundle.spec import PostSpec
from irp_kernel import Volume
from numpy.typing import NDArray

from .builders import a_declared_bundle, a_heart, by_brightness


def a_heart_beside_a_stomach() -> Volume:
    """In slice 2, a brighter and larger blob lies within the window, 40 pixels from the heart."""
    volume, _ = a_heart(radius=10)
    array = volume.array.copy()
    rows, columns = np.mgrid[:160, :160]
    array[:, 2][:, np.hypot(rows - 80, columns - 112) < 14] = 420
    return Volume(geometry=volume.geometry, array=array)


def by_brightness_everywhere(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Takes any bright blob for a heart; stage 1 sees only what lies in the middle of the image."""
    if stage == "locate":
        return by_brightness("locate", batch * _middle(batch.shape[-1], 0.35))
    low, high = batch[:, 0].min((1, 2), keepdims=True), batch[:, 0].max((1, 2), keepdims=True)
    pool = ((batch[:, 0] - low) / (high - low + 1e-6) > 0.75).astype(np.float32)
    return np.stack([1 - pool, pool, np.zeros_like(pool)], 1) * 9


def all_pool(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """Finds the heart, and takes its whole window for blood."""
    if stage == "locate":
        return by_brightness(stage, batch)
    return np.stack([np.zeros_like(batch[:, 0]), np.ones_like(batch[:, 0]), np.zeros_like(batch[:, 0])], 1)


def _middle(size: int, share: float) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    return (np.hypot(rows, columns) < share * size).astype(np.float32)


def run(post: dict[str, object], **asked: list[int]) -> tuple[NDArray[np.uint8], PipelineReport]:
    bundle = a_declared_bundle({"post": post, "locate": {"margin": 5, "look_again": 0}}, locate=True)
    mask, report = Pipeline(bundle, by_brightness_everywhere).run(a_heart_beside_a_stomach(), **asked)  # type: ignore[arg-type]
    return mask.labels, report


def test_without_the_rule_the_larger_stomach_wins() -> None:
    labels, _ = run({})
    assert labels[0, 2, 80, 112]
    assert not labels[0, 2, 80, 80]


def test_a_stomach_far_from_the_line_of_the_series_goes_and_is_counted() -> None:
    labels, report = run({"near_previous": 0.8})
    assert labels[0, 2, 80, 80]
    assert not labels[0, 2, 80, 112]
    assert report.corrections["near_previous"] == 3  # frames


def test_the_slice_alone_gets_the_same_answer() -> None:
    series, _ = run({"near_previous": 0.8})
    one, report = run({"near_previous": 0.8}, slices=[2], frames=[1])
    assert np.array_equal(one[1, 2], series[1, 2])
    assert report.corrections == {"near_previous": 1}


def test_the_reader_is_warned_of_what_was_removed() -> None:
    bundle = a_declared_bundle({"post": {"near_previous": 0.8}, "locate": {"margin": 5, "look_again": 0}}, locate=True)
    found = Pipeline(bundle, by_brightness_everywhere).segment(a_heart_beside_a_stomach())
    assert "implausible" in found.estimate.warnings
    assert "Parts that no heart has were removed." in found.estimate.texts


def test_a_ventricle_has_one_pool() -> None:
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[0, 4:16, 4:16] = 2
    labels[0, 6:12, 6:12] = 1
    labels[0, 14, 14] = 1  # in the wall
    tidy, corrected = post_process(labels, PostSpec(one_pool=True))
    assert tidy[0, 14, 14] == 2
    assert tidy[0, 8, 8] == 1
    assert corrected == {"one_pool": 1}


def test_where_stage_1_found_nothing_there_is_no_line_to_be_far_from() -> None:
    labels = np.zeros((1, 20, 20), np.uint8)
    labels[0, 2:5, 2:5] = 1
    tidy, corrected = post_process(labels, PostSpec(near_previous=0.1), [Expected(15, 15, 0)])
    assert np.array_equal(tidy, labels)
    assert not corrected


@pytest.mark.parametrize(
    ("pipeline", "change", "warning"),
    [
        ({}, lambda array: np.zeros_like(array), "nothing-found"),
        ({}, lambda array: np.zeros_like(array), "heart-not-located"),
        ({"spacing_range": [0.5, 1.0]}, lambda array: array, "foreign-spacing"),
        ({}, lambda array: array, "touches-window"),
    ],
)
def test_every_reason_to_look_twice_is_named(pipeline: dict[str, object], change: object, warning: str) -> None:
    volume, _ = a_heart()
    changed = Volume(geometry=volume.geometry, array=change(volume.array))  # type: ignore[operator]
    engine = all_pool if warning == "touches-window" else by_brightness
    found = Pipeline(a_declared_bundle(pipeline, locate=True), engine).segment(changed)
    assert warning in found.estimate.warnings


def test_a_plain_heart_needs_no_warning() -> None:
    volume, _ = a_heart()
    assert Pipeline(a_declared_bundle({}, locate=True), by_brightness).segment(volume).estimate.warnings == ()
