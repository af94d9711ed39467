"""What you learn here: patches slide as MONAI's do, and what is asked of one slice is what its series says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from irp_bundle import Pipeline, RegionTooLarge, TorchEngine, complete, dice
from irp_bundle.boxes import whole
from irp_bundle.patches import region_of, slide
from irp_bundle.spec import SegmentSpec
from monai.inferers import SlidingWindowInferer
from numpy.typing import NDArray

from .builders import a_declared_bundle, a_volume

PIPELINE = {"segment": {"size": 16, "depth": 4, "dimension": "3d", "spacing": 1.0, "normalise": "none"}}


def a_cloud(shape: tuple[int, int, int] = (10, 40, 40)) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("overlap", [0.25, 0.5])
def test_scores_are_those_of_monais_sliding_window(overlap: float) -> None:
    pipeline = {"segment": {**PIPELINE["segment"], "overlap": overlap}}
    bundle = a_declared_bundle(pipeline, spatial_dims=3)
    image, spec = a_cloud(), bundle.spec.segment
    region = region_of(spec, whole(10, (40, 40)), (8.0, 1.0, 1.0))
    assert region.shape == (10, 40, 40)
    ours = complete(slide(image, region, range(10), spec, bundle.members, ()), TorchEngine(bundle))
    monai = SlidingWindowInferer(roi_size=(4, 16, 16), overlap=overlap, mode="gaussian")
    with torch.inference_mode():
        theirs = monai(torch.from_numpy(image)[None, None], bundle.build("segment"))
    assert ours.transpose(0, 1).numpy() == pytest.approx(theirs[0].numpy(), abs=1e-4)


def test_one_slice_alone_equals_its_part_of_the_series_and_runs_fewer_patches() -> None:
    bundle = a_declared_bundle(PIPELINE, spatial_dims=3)
    counted: list[int] = []

    def engine(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        counted.append(len(batch))
        return TorchEngine(bundle)("segment", batch)

    pipeline, volume = Pipeline(bundle, engine), a_volume(a_cloud((12, 40, 40)))
    series, _ = pipeline.run(volume)
    every, counted[:] = sum(counted), []
    one, report = pipeline.run(volume, slices=[1])
    assert np.array_equal(one.labels[0, 1], series.labels[0, 1])
    assert sum(counted) < every / 2
    assert report.parameters["segment.grid"] == "4x16x16"


@pytest.mark.parametrize("spacing_mm", [(8.0, 1.0, 1.0), (5.0, 1.4, 1.4), (10.0, 0.8, 1.2)])
@pytest.mark.parametrize("slice_spacing", [0.0, 3.0])
def test_a_ball_comes_back_to_its_place_at_any_spacing(
    spacing_mm: tuple[float, float, float], slice_spacing: float
) -> None:
    def bright(stage: str, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        pool = batch[:, 0] - 50
        return np.stack([-pool, pool, np.full_like(pool, -100)], 1)

    counts = [round(80 / step) for step in spacing_mm]
    z, y, x = np.meshgrid(*(np.arange(n) * step for n, step in zip(counts, spacing_mm, strict=True)), indexing="ij")
    ball = np.sqrt((z - 38) ** 2 + (y - 30) ** 2 + (x - 45) ** 2) < 24
    pipeline = {"segment": {**PIPELINE["segment"], "slice_spacing": slice_spacing}}
    volume = a_volume(ball.astype(np.float32) * 100, spacing_mm=spacing_mm)
    mask, _ = Pipeline(a_declared_bundle(pipeline, spatial_dims=3), bright).run(volume)
    assert dice(mask.of("lv_blood_pool")[0], ball) > 0.95


def test_fewer_slices_than_a_patch_has_are_filled_with_the_outermost() -> None:
    spec = SegmentSpec(dimension="3d", depth=8, size=32)
    region = region_of(spec, whole(3, (32, 32)), (8.0, 1.0, 1.0))
    assert region.planes.tolist() == [0, 0, 0, 1, 2, 2, 2, 2]
    assert region.at.tolist() == [2, 3, 4]


def test_an_absurd_spacing_is_refused_before_anything_is_computed() -> None:
    spec = SegmentSpec(dimension="3d", spacing=0.01)
    with pytest.raises(RegionTooLarge):
        region_of(spec, whole(10, (512, 512)), (8.0, 40.0, 40.0))
