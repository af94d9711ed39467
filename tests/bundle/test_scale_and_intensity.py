"""What you learn here: a network that knows millimetres gets them, one that knows the image's units gets those."""

from __future__ import annotations

import numpy as np
import pytest
from irp_bundle import LocateSpec, Normalise, Pipeline, dice, prepare_locate
from irp_bundle.boxes import Located
from irp_bundle.seen import see
from irp_bundle.segmented import PLAIN
from irp_bundle.segmenting import Segmenting
from irp_kernel import Volume
from numpy.typing import NDArray
from torch import from_numpy
from torch.profiler import ProfilerActivity, profile

from .builders import a_declared_bundle, a_volume, by_brightness

RADIUS_MM = 20.0


def a_disk(pixel_mm: tuple[float, float], middle_mm: tuple[float, float] = (60, 60)) -> Volume:
    """A bright disk of RADIUS_MM in 120 x 120 mm."""
    rows, columns = (np.arange(round(120 / step)) * step for step in pixel_mm)
    distance = np.hypot(rows[:, None] - middle_mm[0], columns[None] - middle_mm[1])
    return a_volume((distance < RADIUS_MM).astype(np.float32)[None] * 100, spacing_mm=(8, *pixel_mm))


class Watching:
    """An engine that keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[NDArray[np.float32]] = []

    def __call__(self, stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        self.seen.append(batch)
        return by_brightness("segment", batch)


@pytest.mark.parametrize("pixel_mm", [(1.0, 1.0), (2.0, 2.0), (0.7, 0.7), (1.0, 2.0), (2.0, 1.0)])
def test_at_a_spacing_the_network_sees_the_same_size_in_millimetres(pixel_mm: tuple[float, float]) -> None:
    engine, volume = Watching(), a_disk(pixel_mm)
    pipeline = Pipeline(a_declared_bundle({"segment": {"size": 64, "spacing": 1.5}}), engine)
    mask, report = pipeline.run(volume)
    bright = engine.seen[0][0, 0] > 0
    assert bright.any(axis=1).sum() == pytest.approx(2 * RADIUS_MM / 1.5, abs=2.5)
    assert bright.any(axis=0).sum() == pytest.approx(2 * RADIUS_MM / 1.5, abs=2.5)
    assert dice(mask.of("lv_blood_pool")[0], volume.array[0] > 50) > 0.9
    assert report.parameters["segment.spacing_mm"] == "1.5"


def test_stage_1_at_a_spacing_finds_the_box_in_pixels_of_the_image() -> None:
    for pixel_mm in ((1.0, 1.0), (1.5, 1.5), (1.0, 1.25)):
        bundle = a_declared_bundle({"locate": {"spacing": 2.0, "size": 64, "look_again": 0}}, locate=True)
        found = Pipeline(bundle, by_brightness).locate(a_disk(pixel_mm, (50, 70)))
        row, column, side = found.windows[0]
        assert (row * pixel_mm[0], column * pixel_mm[1]) == pytest.approx((50, 70), abs=2)
        assert side / 2.4 * np.sqrt(np.prod(pixel_mm)) == pytest.approx(2 * RADIUS_MM, rel=0.15)


def test_clip_maps_absolute_units_and_none_leaves_them() -> None:
    image = from_numpy(np.linspace(-1000, 2000, 32 * 32, dtype=np.float32).reshape(1, 1, 32, 32))
    clip = Normalise(kind="clip", a_min=-500, a_max=500)
    clipped = prepare_locate(image, LocateSpec(size=32, normalise=clip))
    assert clipped.numpy() == pytest.approx(np.clip((image.numpy() + 500) / 1000, 0, 1), abs=1e-4)
    same = prepare_locate(image, LocateSpec(size=32, normalise=Normalise(kind="none")))
    assert same.numpy() == pytest.approx(image.numpy(), abs=1e-2)


def test_outside_the_image_lies_its_darkest_value() -> None:
    image = from_numpy(np.full((1, 1, 20, 40), 300.0, np.float32))
    seen = prepare_locate(image, LocateSpec(size=40, normalise=Normalise(kind="none")))
    assert seen.numpy() == pytest.approx(300.0)


def test_neighbouring_slices_are_channels_and_the_outermost_stand_for_those_beyond() -> None:
    pipeline = {"segment": {"size": 32, "dimension": "2.5d", "neighbours": 1, "normalise": "none"}}
    volume = a_volume(np.arange(4, dtype=np.float32)[:, None, None] * np.ones((1, 32, 32), np.float32))
    located = Located(windows=np.tile([15.5, 15.5, 32.0], (4, 1)), outcomes=("whole",) * 4, box=0.0)
    bundle = a_declared_bundle(pipeline, in_channels=3)
    asked = next(Segmenting(bundle, see(volume, "as-stored"), located, (0,), (0, 2, 3), PLAIN)())
    assert asked.inputs.shape == (3, 3, 32, 32)
    assert asked.inputs[:, :, 5, 5].tolist() == [[0, 0, 1], [1, 2, 3], [2, 3, 3]]


@pytest.mark.parametrize("pixel_mm", [(0.002, 0.002), (90.0, 90.0)])
def test_an_absurd_spacing_costs_no_more_than_another(pixel_mm: tuple[float, float]) -> None:
    """A window of 48,000 pixels, and one of one: both are answered, within the image."""
    volume = a_volume(np.random.default_rng(0).random((2, 64, 96), dtype=np.float32), spacing_mm=(8, *pixel_mm))
    pipeline = Pipeline(a_declared_bundle({"segment": {"size": 64, "spacing": 1.5}}), by_brightness)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as memory:
        mask, _ = pipeline.run(volume)
    assert mask.labels.shape == volume.array.shape
    assert max(event.cpu_memory_usage for event in memory.events()) < 400 << 20
