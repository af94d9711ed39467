"""What you learn here: a network that knows hearts in one lay finds them however a site stored its slices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from irp_bundle import SYMMETRIES, Pipeline
from irp_bundle.symmetry import IDENTITY, Symmetry, towards
from irp_kernel import Geometry, Volume
from numpy.typing import NDArray

from .builders import a_declared_bundle, a_volume

EVERY = [IDENTITY, *SYMMETRIES.values()]


def only_the_top(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
    """A "network" that knows one lay only: what is bright in the upper left quarter is pool."""
    bright = batch[:, 0] > batch[:, 0].mean()
    bright[:, bright.shape[1] // 2 :] = False
    bright[:, :, bright.shape[2] // 2 :] = False
    pool = bright.astype(np.float32)
    return np.stack([1 - pool, pool, np.zeros_like(pool)], 1) * 9


def stored(volume: Volume, way: Symmetry) -> Volume:
    """The same patient, whose pixels another site stored in another lay."""
    rows, columns = volume.geometry.shape[1:]
    numbers = np.arange(rows * columns).reshape(rows, columns)
    laid = way.apply(numbers)
    where = np.array([np.unravel_index(laid[at], numbers.shape) for at in ((0, 0), (1, 0), (0, 1))])
    matrix = volume.geometry.matrix.copy()
    matrix[:3, 3] = volume.geometry.to_patient(np.array([0.0, *where[0]]))
    for axis in (1, 2):
        matrix[:3, axis] = volume.geometry.matrix[:3, 1:3] @ (where[axis] - where[0])
    affine = tuple(map(tuple, matrix.tolist()))
    array = np.ascontiguousarray(way.apply(volume.array))
    return Volume(geometry=Geometry(shape=array.shape[1:], affine=affine), array=array)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", EVERY)
def test_the_mask_lies_on_the_same_part_of_the_patient_in_every_lay(way: Symmetry) -> None:
    image = np.random.default_rng(0).random((2, 40, 64)).astype(np.float32)
    image[:, 5:15, 8:20] += 5
    image[:, 25:35, 40:60] += 5
    volume = a_volume(image)
    pipeline = Pipeline(a_declared_bundle({"orientation": "LP"}), only_the_top)
    mask, _ = pipeline.run(volume)
    assert mask.labels[0, 0, 8, 10]
    assert not mask.labels[0, 0, 30, 50]
    other, _ = pipeline.run(stored(volume, way))
    assert np.array_equal(way.apply(mask.labels), other.labels)


def test_as_stored_looks_at_the_pixels_as_they_come() -> None:
    image = np.zeros((1, 40, 40), np.float32)
    image[:, 25:35, 25:35] = 5
    pipeline = Pipeline(a_declared_bundle({}), only_the_top)
    assert not pipeline.run(a_volume(image))[0].labels.any()
    assert pipeline.run(stored(a_volume(image), SYMMETRIES["turn-180"]))[0].labels.any()


@given(st.sampled_from(EVERY), st.integers(1, 5), st.integers(1, 5))
@settings(max_examples=50)
def test_every_lay_is_undone(way: Symmetry, rows: int, columns: int) -> None:
    image = np.arange(rows * columns).reshape(1, rows, columns)
    assert np.array_equal(way.undo(way.apply(image)), image)


def test_the_names_are_all_ways_but_one_and_turns_are_numpys() -> None:
    image = np.arange(12).reshape(3, 4)
    assert len({str(way.apply(image)) for way in EVERY}) == 8
    for quarter in (1, 2, 3):
        assert np.array_equal(SYMMETRIES[f"turn-{90 * quarter}"].apply(image), np.rot90(image, quarter))


@given(st.sampled_from(EVERY), st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))
@settings(max_examples=50)
def test_an_oblique_slice_is_laid_by_its_nearest_axes(way: Symmetry, tilt: float, turn: float) -> None:
    volume = stored(a_volume(np.zeros((1, 4, 6), np.float32)), way)
    tilted = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    turned = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    matrix = volume.geometry.matrix.copy()
    matrix[:3, :3] = tilted @ turned @ matrix[:3, :3]
    straight = towards("LP", volume.geometry.matrix)
    assert towards("LP", matrix) == straight
    assert np.array_equal(straight.apply(way.apply(np.arange(24).reshape(4, 6))), np.arange(24).reshape(4, 6))
