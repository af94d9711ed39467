"""What you learn here: a recipe may let its training cases decide; every choice has a rule, and a reason in words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from irp_bundle import read_bundle
from irp_kernel import Geometry, Mask, Volume
from irp_kernel.mask import VALUE_OF
from irp_training.domain.errors import BadRecipe
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import Said
from irp_training.domain.learning.pupils import read_pupils
from irp_training.domain.networks.build import definitions
from irp_training.domain.recipes import configuring
from irp_training.domain.recipes.configured import Configured
from irp_training.domain.recipes.configuring import NAMED, configure
from irp_training.domain.recipes.fingerprint import Fingerprint, fingerprint_of, traits_of
from irp_training.domain.recipes.poolings import factors, padded, poolings, step_bytes
from irp_training.domain.recipes.reading import read_recipe
from irp_training.domain.recipes.recipe import FROM_SCRATCH, Recipe, read_frozen
from training_builders import HEART, TINY, a_heart, a_plan, case_files, only

HOSPITAL = Fingerprint(
    series=70,
    judged_slices=1400,
    spacing_mm=(10.0, 1.4, 1.4),
    fine_spacing_mm=(8.0, 1.25, 1.25),
    shape=(10.0, 256.0, 232.0),
    stack_mm=90.0,
    ventricle_mm=62.0,
    drift_mm=12.0,
    reach=1.9,
    heart_mm=(80.0, 90.0, 95.0),
    shares={"lv_blood_pool": 0.02, "lv_myocardium": 0.02, "rv_blood_pool": 0.02},
    intensity=(20.0, 180.0, 60.0, 400.0),
    clipped={"99.0": 0.2, "99.5": 0.04, "99.9": 0.01},
)


def read(text: str, *, fine_tuning: bool = False) -> Recipe:
    return read_recipe(text, fine_tuning=fine_tuning, structures=VALUE_OF)


def fingerprint(hearts: list[tuple[Volume, Mask]]) -> Fingerprint:
    found = fingerprint_of([traits for volume, mask in hearts if (traits := traits_of(volume, mask, HEART))])
    assert found is not None
    return found


def spaced(heart: tuple[Volume, Mask], spacing_mm: tuple[float, float, float]) -> tuple[Volume, Mask]:
    """The same voxels elsewhere apart."""
    volume, mask = heart
    affine = tuple(map(tuple, np.diag([*spacing_mm, 1.0]).tolist()))
    geometry = Geometry(shape=volume.geometry.shape, affine=affine, frames=volume.geometry.frames)
    laid = Mask(geometry=geometry, labels=mask.labels, table=mask.table, annotated=mask.annotated)
    return Volume(geometry=geometry, array=volume.array), laid


def test_a_fingerprint_says_what_the_hearts_are_like() -> None:
    found = fingerprint([a_heart(seed) for seed in range(3)])
    assert (found.series, found.judged_slices) == (3, 9)
    assert found.spacing_mm == (8.0, 1.5, 1.5)
    assert found.stack_mm == 16.0
    assert found.ventricle_mm == pytest.approx(2 * 12 * 1.5, rel=0.05)  # the ring is 12 pixels wide
    assert found.drift_mm == 0
    # The right ventricle's outer border is 18 + 9 / 1.2 pixels from the middle: 2.1 times the left one's radius.
    assert found.reach == pytest.approx(25.5 / 12, rel=0.08)
    assert 0 < found.shares["rv_blood_pool"] < found.shares["lv_myocardium"] < 0.1
    assert 60 < found.intensity[0] < found.intensity[1] < found.intensity[3] < 350


def test_the_order_of_cases_is_no_other_fingerprint_and_what_nobody_judged_has_no_share() -> None:
    hearts = [a_heart(1), spaced(a_heart(2), (10.0, 1.0, 1.0)), a_heart(3)]
    assert fingerprint(hearts) == fingerprint(hearts[::-1])
    half = fingerprint([(volume, only(mask, "lv_blood_pool")) for volume, mask in hearts])
    assert list(half.shares) == ["lv_blood_pool"]
    volume, mask = a_heart(4)
    annotated = mask.annotated.copy()
    annotated[:, 1:] = False
    guessed = Mask(geometry=mask.geometry, labels=mask.labels, table=mask.table, annotated=annotated)
    assert fingerprint([(volume, guessed)]).heart_mm[0] == 8.0  # one slice of three was looked at
    assert traits_of(volume, only(mask, "rv_blood_pool"), HEART) is None
    assert fingerprint_of([]) is None


def test_only_training_cases_are_looked_at() -> None:
    odd = spaced(a_heart(9), (3.0, 0.5, 0.5))
    files = case_files([("training", *a_heart(1)), ("validation", *odd), ("test", *odd)])
    survey: list = []
    read_pupils(files, HEART, survey=survey)
    assert [traits.spacing_mm for traits in survey] == [(8.0, 1.5, 1.5)]


def test_the_finer_axes_are_halved_first_and_none_below_four_cells() -> None:
    strides = poolings((10, 160, 160), (10.0, 1.4, 1.4))
    assert strides == [[1, 2, 2], [1, 2, 2], [2, 2, 2], [1, 2, 2], [1, 2, 2]]
    assert factors(strides, 3) == [2, 32, 32]
    assert poolings((64, 64), (1.0, 1.0)) == [[2, 2]] * 4
    assert padded((9, 135, 135), poolings((9, 135, 135), (10.0, 1.4, 1.4), exact=False)) == (10, 160, 160)
    assert poolings((10, 64, 64), (10.0, 1.4, 1.4), 2) == [[1, 2, 2]]
    with pytest.raises(BadRecipe, match="cannot be halved 7 times"):
        poolings((96, 96), (1.0, 1.0), 8)


def test_two_dimensions_take_the_window_at_the_median_spacing() -> None:
    plan = configure(HOSPITAL, read('{"configure": "fingerprint"}'))
    closed = plan.close(FROM_SCRATCH)
    assert closed.window == pytest.approx(2.1)  # a tenth more than 1.9 ventricles
    assert closed.segment_size == 96  # 94 pixels; a multiple of 16
    assert closed.segment_channels == (16, 32, 64, 128, 256)
    assert (closed.batch, closed.clip_percentile) == (12, 99.5)
    assert (closed.segment_depth, closed.segment_spacing) == (0, 0.0)
    assert "94 pixels wide at the median 1.40 mm" in plan.reasons["segment_size"]


def test_three_dimensions_take_the_tenth_percentile_along_the_coarse_axis() -> None:
    plan = configure(HOSPITAL, read('{"dimensions": 3}'))
    chosen = plan.chosen
    assert (chosen["slice_spacing"], chosen["segment_spacing"]) == (8.0, 1.4)
    assert (chosen["segment_depth"], chosen["segment_size"]) == (12, 112)  # 90 mm / 8 mm + 1; (12 + 130 mm) / 1.4 mm
    assert chosen["batch"] == 4
    assert "10th percentile" in plan.reasons["slice_spacing"]
    even = replace(HOSPITAL, spacing_mm=(2.0, 1.4, 1.4), fine_spacing_mm=(1.0, 1.4, 1.4))
    assert configure(even, read('{"dimensions": 3}')).chosen["slice_spacing"] == 2.0


def test_a_small_memory_takes_from_the_patch_and_the_batch() -> None:
    large = configure(HOSPITAL, read('{"dimensions": 3}'))
    small = configure(HOSPITAL, read('{"dimensions": 3, "memory_gib": 0.25}'))
    assert small.chosen["segment_size"] < large.chosen["segment_size"]
    assert small.chosen["batch"] == 2
    assert "made smaller until two examples fit into 0.25 GiB" in small.reasons["segment_size"]


ROUNDS = 200  # of making a grid smaller, by far more than any takes


@settings(max_examples=60, deadline=None)
@example(slices=95, step_mm=2.0, pixel_mm=1.4, memory_gib=0.1, levels=7)
@example(slices=60, step_mm=2.0, pixel_mm=2.0, memory_gib=0.5, levels=8)
@given(
    slices=st.integers(3, 130),
    step_mm=st.floats(0.8, 12.0),
    pixel_mm=st.floats(0.5, 3.0),
    memory_gib=st.floats(0.1, 4.0),
    levels=st.sampled_from([0, 0, 2, 4, 5, 6, 7, 8]),
)
def test_the_rules_come_to_an_end_whatever_the_cases_are_like(
    slices: int, step_mm: float, pixel_mm: float, memory_gib: float, levels: int
) -> None:
    spacing = (step_mm, pixel_mm, pixel_mm)
    cases = replace(HOSPITAL, spacing_mm=spacing, fine_spacing_mm=spacing, stack_mm=step_mm * (slices - 1))
    recipe = replace(read('{"dimensions": 3}'), memory_gib=memory_gib, segment_channels=(8,) * levels)
    rounds = iter(range(ROUNDS))

    def counted(*grid: Any) -> int:
        assert next(rounds, None) is not None, "grids come again and again"
        return step_bytes(*grid)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(configuring, "step_bytes", counted)
        try:
            chosen = configure(cases, recipe).chosen
        except BadRecipe:
            assert levels, "only what the recipe names can be impossible"
        else:
            assert chosen["segment_depth"] >= 2
            assert chosen["segment_size"] >= 64


def test_a_net_too_deep_for_its_memory_is_refused_in_words() -> None:
    cases = replace(HOSPITAL, spacing_mm=(2.0, 2.0, 2.0), fine_spacing_mm=(2.0, 2.0, 2.0), stack_mm=118.0)
    recipe = replace(read('{"dimensions": 3}'), memory_gib=0.1, segment_channels=(8,) * 7)
    with pytest.raises(BadRecipe, match="cannot be made smaller and be halved 6 times"):
        configure(cases, recipe)


def test_what_the_recipe_names_is_not_chosen() -> None:
    text = '{"dimensions": 3, "segment_size": 96, "segment_depth": 9, "segment_channels": [8, 16], "batch": 3}'
    plan = configure(HOSPITAL, read(text))
    for key, value in (("segment_size", 96), ("segment_depth", 9), ("segment_channels", (8, 16)), ("batch", 3)):
        assert (plan.chosen[key], plan.reasons[key]) == (value, NAMED)
    closed = plan.close(read(text))
    assert not closed.is_open
    network = definitions(closed, HEART, None)["network_def"]
    assert (network["spatial_dims"], network["channels"], network["strides"]) == (3, [8, 16], [[1, 2, 2]])


def test_what_was_chosen_reads_back_as_itself_and_closes_a_recipe_that_was_read_back() -> None:
    recipe = read('{"configure": "fingerprint"}')
    plan = configure(HOSPITAL, recipe)
    again = Configured.from_text(plan.to_text())
    assert again.close(read_frozen(recipe.to_json())) == plan.close(recipe)
    assert recipe.is_open
    assert not plan.close(recipe).is_open


def test_single_slices_have_no_third_axis_to_learn_from() -> None:
    with pytest.raises(BadRecipe, match="say 2"):
        configure(replace(HOSPITAL, stack_mm=0.0), read('{"dimensions": 3}'))


@pytest.mark.parametrize(
    ("text", "fine_tuning", "words"),
    [
        ('{"dimensions": 1}', False, "2, 3, or 0"),
        ('{"dimensions": 3, "configure": "fixed"}', False, "leave it out"),
        ('{"configure": "guess"}', False, "one of fixed, fingerprint"),
        ('{"configure": "fingerprint"}', True, "from scratch"),
        ('{"segment_depth": 8}', False, "goes with `dimensions` 3"),
        ('{"slice_spacing": 8}', True, "goes with `dimensions` 3"),
        ('{"dimensions": 3, "segment_depth": 1}', False, "from 2 up"),
        ('{"clip_percentile": 20}', False, "from 50 up"),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(text: str, fine_tuning: bool, words: str) -> None:
    with pytest.raises(BadRecipe, match=words):
        read(text, fine_tuning=fine_tuning)


def test_a_recipe_that_names_nothing_new_is_what_it_was() -> None:
    recipe = read("{}")
    assert (recipe.configure, recipe.dimensions, recipe.segment_size, recipe.batch) == ("fixed", 0, 160, 12)
    assert recipe == FROM_SCRATCH
    spec = definitions(recipe, HEART, None)["irp_pipeline"]["segment"]
    assert (spec["dimension"], spec["spacing"], spec["normalise"]["high"]) == ("2d", 0.0, 99.0)


def test_a_run_in_two_dimensions_says_what_was_chosen_and_its_card_says_why() -> None:
    said: list[Said] = []
    recipe = replace(TINY, configure="fingerprint", segment_size=0, locate_epochs=1)
    recipe = replace(recipe, segment_epochs=1, min_steps=1, window=0.0, segment_channels=(4, 8))
    files = case_files([(part, *a_heart(seed)) for seed, part in enumerate(["training", "training", "validation"])])
    outcome = Lesson(a_plan(recipe), said.append)(files, None)
    plan = Configured.from_text(said[0].configured)
    bundle = read_bundle(outcome.bundle)
    assert plan.fingerprint["series"] == 2
    assert bundle.metadata["configured"] == plan.to_json()
    assert bundle.spec.segment.size == plan.chosen["segment_size"]
    assert plan.reasons["window"] in bundle.card
    assert "one slice at a time" in bundle.card
    assert read_frozen(bundle.metadata["recipe"]).window == plan.chosen["window"]
