"""What you learn here: two stages find a heart wherever it lies, and one slice gives what the whole series gives."""

from __future__ import annotations

import numpy as np
import pytest
from irp_bundle import ImageNotFinite, NoSuchSlice, dice_per_structure
from irp_kernel import Volume

from .builders import STRUCTURES, a_heart, a_pipeline

PLACES = [{}, {"row": 30, "column": 125}, {"size": 320, "row": 160, "column": 160}, {"size": 320, "row": 60}]


@pytest.mark.parametrize("place", PLACES)
def test_a_moved_heart_or_a_doubled_field_of_view_keeps_its_dice(place: dict[str, float]) -> None:
    volume, truth = a_heart(**place)  # type: ignore[arg-type]
    mask, report = a_pipeline().run(volume)
    assert set(report.located.outcomes) == {"located"}
    for name in STRUCTURES:
        assert dice_per_structure(truth, mask)[name] > 0.95


def test_without_net_1_a_moved_heart_is_lost() -> None:
    volume, truth = a_heart(row=12, column=148)
    mask, report = a_pipeline(locate=False).run(volume)
    assert set(report.located.outcomes) == {"whole"}
    assert dice_per_structure(truth, mask)["lv_myocardium"] < 0.5


def test_one_slice_alone_equals_its_part_of_the_series() -> None:
    volume, _ = a_heart(row=60, column=90)
    pipeline = a_pipeline()
    series, _ = pipeline.run(volume)
    one, report = pipeline.run(volume, frames=[1], slices=[2])
    assert (report.frames, report.slices) == ((1,), (2,))
    assert np.array_equal(one.labels[1, 2], series.labels[1, 2])
    assert one.annotated.sum() == len(STRUCTURES)
    assert one.labels.sum() == one.labels[1, 2].sum()


def test_nothing_found_falls_back_to_the_centre_and_says_so() -> None:
    volume, _ = a_heart()
    _, report = a_pipeline().run(Volume(geometry=volume.geometry, array=np.zeros_like(volume.array)))
    assert set(report.located.outcomes) == {"centre"}
    assert report.located.box == 0


def test_a_slice_that_contradicts_its_neighbours_takes_their_line() -> None:
    volume, _truth = a_heart()
    array = volume.array.copy()
    array[:, 2] = np.roll(array[:, 2], 50, axis=-1)
    _, report = a_pipeline().run(Volume(geometry=volume.geometry, array=array))
    assert report.located.outcomes == ("located", "located", "neighbour", "located")
    assert np.allclose(report.located.windows[2, :2], 80, atol=3)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_image_that_is_not_finite_is_refused(bad: float) -> None:
    volume, _ = a_heart()
    array = volume.array.copy()
    array[0, 0, 0, 0] = bad
    with pytest.raises(ImageNotFinite):
        a_pipeline().run(Volume(geometry=volume.geometry, array=array))


@pytest.mark.parametrize("asked", [{"slices": [9]}, {"frames": [-1]}])
def test_slices_that_are_not_there_are_refused(asked: dict[str, list[int]]) -> None:
    with pytest.raises(NoSuchSlice):
        a_pipeline().run(a_heart()[0], **asked)  # type: ignore[arg-type]
