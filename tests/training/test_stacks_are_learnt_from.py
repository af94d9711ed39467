"""What you learn here: a net with three axes learns from what it will see, and not from what nobody looked at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from irp_bundle import (
    Bundle,
    Pipeline,
    SegmentSpec,
    TorchEngine,
    as_images,
    dice,
    normalise,
    read_bundle,
    windows_of_truth,
)
from irp_bundle.openvino_engine import OpenVinoEngine, graphs_of
from irp_bundle.patches import planes_of, region_of
from irp_kernel import Geometry, Mask, Volume
from irp_training.domain.errors import BadRecipe, PipelineNotLearnt
from irp_training.domain.learning.curriculum import Curriculum
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Outcome, Said
from irp_training.domain.recipes.recipe import FINE_TUNING, Recipe
from irp_training.domain.samples.augment import NONE, Augmentation
from irp_training.domain.samples.examples import Example, examples_of, stacked_examples_of
from irp_training.domain.samples.loss import partial_loss
from irp_training.domain.samples.stacks import SegmentStack
from training_builders import HEART, TINY, a_heart, a_plan, case_files, only

SPEC = SegmentSpec(size=32, depth=4, dimension="3d", spacing=2.0, slice_spacing=8.0)
STAGE = SegmentStack(HEART, SPEC, 2.4)


def stacked(heart: tuple[Volume, Mask]) -> list[Example]:
    return stacked_examples_of(*heart, HEART)


def sparse(mask: Mask, *slices: int) -> Mask:
    """Judged on these slices only."""
    annotated = np.zeros_like(mask.annotated)
    annotated[:, list(slices)] = True
    return Mask(geometry=mask.geometry, labels=mask.labels, table=mask.table, annotated=annotated)


def test_a_stack_is_seen_in_training_as_it_is_in_inference() -> None:
    volume, mask = a_heart(1, slices=4)
    (example,) = STAGE.usable(stacked((volume, mask)))
    image, labels, judged = STAGE.sample(example, None, NONE)
    region = region_of(SPEC, windows_of_truth(mask, margin=2.4), volume.geometry.spacing_mm)
    assert region.shape[0] == 4
    images = as_images(volume.array[0])
    grid = normalise(planes_of(images, region, SPEC)[None], SPEC.normalise)[0]
    middle = (region.size - 32) // 2
    cut = slice(middle, middle + 32)
    torch.testing.assert_close(image[0], grid[:, cut, cut], atol=1e-4, rtol=1e-4)
    assert (labels.shape, judged.shape, judged.all()) == ((4, 32, 32), (4, 3), True)
    assert set(labels.unique().tolist()) == {0, 1, 2, 3}


def test_slices_of_a_stack_are_those_that_are_seen_alone() -> None:
    volume, mask = a_heart(2, frames=2)
    mask = sparse(mask, 0, 2)
    alone, together = examples_of(volume, mask, HEART), stacked((volume, mask))
    assert len(alone) == len(together) == 4
    for one, other in zip(alone, together, strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.box, other.box)
        assert (one.whole, one.judged.tolist()) == (other.whole, other.judged.tolist())
    assert len(STAGE.usable(together)) == 2  # one for each time


def test_planes_that_nobody_judged_are_unknown_and_so_are_those_beyond_the_stack() -> None:
    volume, mask = a_heart(3)
    (example,) = STAGE.usable(stacked((volume, sparse(mask, 0, 1))))
    _, _, judged = STAGE.sample(example, None, NONE)
    assert judged.any(dim=1).tolist() == [True, True, False, False]  # three slices, the third unknown; one repeated
    between = SegmentStack(HEART, replace(SPEC, depth=6, slice_spacing=4.0), 2.4)
    _, _, judged = between.sample(example, None, NONE)
    assert judged.any(dim=1).tolist() == [True, True, True, False, False, False]
    (half,) = STAGE.usable(stacked((volume, only(mask, "lv_blood_pool"))))
    _, _, judged = STAGE.sample(half, None, NONE)
    assert judged[:3].tolist() == [[True, False, False]] * 3


def test_the_loss_of_a_patch_is_that_of_its_slices_and_silent_where_nobody_looked() -> None:
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 8, 8, generator=random, requires_grad=True)
    labels = torch.randint(0, 3, (2, 4, 8, 8), generator=random)
    judged = torch.ones(2, 4, 2, dtype=torch.bool)
    judged[1, 2:] = False
    loss = partial_loss(logits, labels, judged)
    loss.backward()
    flat = partial_loss(logits.detach().transpose(1, 2).flatten(0, 1), labels.flatten(0, 1), judged.flatten(0, 1))
    assert loss.item() == flat.item()
    assert logits.grad is not None
    assert not logits.grad[1, :, 2:].any()
    assert logits.grad[1, :, :2].any()


def test_augmentation_of_stacks_depends_on_its_generator_alone() -> None:
    (example,) = STAGE.usable(stacked(a_heart(4, slices=6)))
    a, b, c = (STAGE.sample(example, np.random.default_rng(seed), Augmentation()) for seed in (5, 5, 6))
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[1], b[1])
    assert not torch.equal(a[0], c[0])
    assert a[0].shape == (1, 4, 32, 32)


def test_patches_lie_about_something_drawn_as_often_as_the_recipe_says() -> None:
    spec = replace(SPEC, size=16, depth=2, spacing=1.5)
    (example,) = STAGE.usable(stacked(a_heart(5, slices=6)))

    def share_of_heart(foreground: float) -> float:
        stage = SegmentStack(HEART, spec, 3.5, foreground)
        seen = [stage.sample(example, np.random.default_rng(seed), NONE)[1] for seed in range(30)]
        return float(np.mean([bool((labels > 0).any()) for labels in seen]))

    assert share_of_heart(1.0) == 1.0
    assert share_of_heart(0.0) < 0.95


def test_random_patches_hold_a_slice_that_somebody_judged() -> None:
    spec = replace(SPEC, depth=2)
    volume, mask = a_heart(6, slices=8)
    (example,) = STAGE.usable(stacked((volume, sparse(mask, 5))))
    stage = SegmentStack(HEART, spec, 2.4, foreground=0.0)
    samples = [stage.sample(example, np.random.default_rng(seed), Augmentation()) for seed in range(12)]
    assert all(judged.any() for _, _, judged in samples)


RECIPE = replace(
    TINY,
    dimensions=3,
    configure="fingerprint",
    window=0.0,
    segment_size=0,
    segment_channels=(12, 24),
    structures=HEART,
    batch=2,
    locate_epochs=1,
    segment_epochs=2,
    min_steps=15,
    segment_rate=1e-2,
    locate_rate=1e-2,
    augment=0.0,
    ema=0.8,
    checkpoint_epochs=1,
)
PARTS = ("training", "training", "training", "validation")


def learnt(checkpoint: bytes | None = None) -> tuple[Outcome, list[Said]]:
    said: list[Said] = []
    files = case_files([(part, *a_heart(seed, slices=5)) for seed, part in enumerate(PARTS)])
    return Lesson(a_plan(RECIPE), said.append)(files, checkpoint), said


@pytest.fixture(scope="module")
def run() -> tuple[Outcome, list[Said]]:
    return learnt()


@pytest.fixture(scope="module")
def deep(run: tuple[Outcome, list[Said]]) -> Bundle:
    return read_bundle(run[0].bundle)


def answered(bundle: Bundle, volume: Volume, truth: Mask, slices: tuple[int, ...] = ()) -> Mask:
    """Of stage 2, in the windows that a perfect stage 1 would give: the tiny one here is none."""
    located = windows_of_truth(truth, margin=bundle.spec.locate.margin)
    return Pipeline(bundle, TorchEngine(bundle)).run(volume, slices=slices, located=located)[0]


def test_a_run_in_three_dimensions_makes_a_bundle_that_answers_on_the_images_grid(deep: Bundle) -> None:
    volume, mask = a_heart(40, slices=5)
    assert (deep.spec.segment.dimension, deep.stages) == ("3d", ("locate", "segment"))
    found = answered(deep, volume, mask)
    assert found.geometry == volume.geometry
    for name in HEART[:2]:
        assert dice(found.of(name), mask.of(name)) > 0.6
    assert np.array_equal(answered(deep, volume, mask, (2,)).labels[0, 2], found.labels[0, 2])
    _, report = Pipeline(deep, TorchEngine(deep)).run(volume)
    assert report.parameters["segment.dimension"] == "3d"


def test_its_curve_pictures_and_cases_are_those_of_every_run(run: tuple[Outcome, list[Said]]) -> None:
    outcome, said = run
    names = {metric.name for one in said for metric in one.metrics}
    assert {"segment_loss", "val_dice_lv_blood_pool", "val_hd95_mm_lv_blood_pool"} <= names
    assert {overlay.which for one in said for overlay in one.overlays} == {"best", "median", "worst"}
    (case,) = outcome.cases
    assert set(case["after"]) == set(HEART)
    assert "stacks of slices" in read_bundle(outcome.bundle).card


def test_a_killed_run_in_three_dimensions_goes_on_as_if_nothing_had_been(run: tuple[Outcome, list[Said]]) -> None:
    outcome, said = run
    last = next(one.checkpoint for one in said if one.progress.step == "segment: epoch 1 of 2")
    resumed, again = learnt(last)
    assert resumed.bundle == outcome.bundle
    assert [one.configured for one in again if one.configured] == [one.configured for one in said if one.configured]


def test_what_was_learnt_in_three_dimensions_is_learnt_further(deep: Bundle, run: tuple[Outcome, list[Said]]) -> None:
    recipe = replace(FINE_TUNING, segment_epochs=1, min_steps=1, batch=2, seed=3, threads=1, replay=0.0)
    files = case_files([("training", *a_heart(7, slices=5)), ("validation", *a_heart(8, slices=5))])
    outcome = Lesson(a_plan(recipe, run[0].bundle), lambda said: None)(files, None)
    after = read_bundle(outcome.bundle)
    assert after.spec.segment == deep.spec.segment
    before, now = deep.weights["model"], after.weights["model"]
    assert before.keys() == now.keys()
    assert any(not torch.equal(before[name], now[name]) for name in before)
    assert set(outcome.cases[0]["before"]) == set(HEART)


def test_a_base_keeps_its_dimensions_and_its_sizes_must_be_halved(deep: Bundle) -> None:
    def fine_tuning(**changes: object) -> Recipe:
        return replace(FINE_TUNING, **changes)  # type: ignore[arg-type]

    with pytest.raises(BadRecipe, match="the base sees 3 dimensions"):
        Curriculum(fine_tuning(dimensions=2), deep)
    with pytest.raises(PipelineNotLearnt, match="single slices"):
        Curriculum(fine_tuning(pipeline="own", stages=("locate", "segment")), deep)
    assert Curriculum(fine_tuning(dimensions=3), deep).stages[-1].unit == "patches"


def test_the_engine_that_serves_answers_what_the_run_was_judged_by(deep: Bundle) -> None:
    volume, mask = a_heart(42, slices=5)
    located = windows_of_truth(mask, margin=deep.spec.locate.margin)
    found, _ = Pipeline(deep, OpenVinoEngine(graphs_of(deep))).run(volume, located=located)
    assert np.mean(found.labels != answered(deep, volume, mask).labels) < 1e-3


def test_a_stack_at_another_spacing_is_answered_on_its_own_grid(deep: Bundle) -> None:
    volume, mask = a_heart(41, slices=5)
    affine = tuple(map(tuple, np.diag([10.0, 1.5, 1.5, 1.0]).tolist()))
    geometry = Geometry(shape=volume.geometry.shape, affine=affine)
    coarse = Volume(geometry=geometry, array=volume.array)
    truth = Mask(geometry=geometry, labels=mask.labels, table=mask.table, annotated=mask.annotated)
    found = answered(deep, coarse, truth)
    assert found.geometry == geometry
    assert dice(found.of("lv_myocardium"), truth.of("lv_myocardium")) > 0.5
