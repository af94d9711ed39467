"""What you learn here: whatever a foreign bundle does to space and values, its masks here are those of MONAI."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from irp_bundle import (
    ChannelsNotKnown,
    Options,
    Pipeline,
    PipelineNotDerived,
    PipelineNotValid,
    RegionTooLarge,
    TorchEngine,
    read_bundle,
    read_spec,
)
from irp_bundle.program_size import Crop, Fit, Resize
from irp_bundle.program_space import Placed
from irp_bundle.zoo import derive
from numpy.typing import NDArray
from torch.nn import functional

from .zoo_bundles import (
    ARGMAX,
    SLICES,
    SMALL,
    SMALL_3D,
    a_chest,
    a_zoo_bundle,
    a_zoo_config,
    a_zoo_net,
    by_monai,
    by_us,
)

RAS = {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"}
LPI = RAS | {"axcodes": "LPI"}
SPACING = {"_target_": "Spacingd", "keys": "image", "pixdim": [1.7, 1.7, 3.1], "mode": "bilinear"}
CLIP = {
    "_target_": "ScaleIntensityRanged",
    "keys": "image",
    "a_min": 5,
    "a_max": 150,
    "b_min": 0,
    "b_max": 1,
    "clip": True,
}
NONZERO = {"_target_": "NormalizeIntensityd", "keys": ["image"], "nonzero": True}
ONES = {"_target_": "ScaleIntensityd", "keys": "image", "minv": -1.0, "maxv": 1.0}
CROP = {"_target_": "CropForegroundd", "keys": ["image"], "source_key": "image", "mode": ["minimum"]}
RELATIVE = {"_target_": "ScaleIntensityRangePercentilesd", "keys": "image", "lower": 2, "upper": 96.5}
RELATIVE |= {"b_min": -1.0, "b_max": 1.0, "clip": True, "relative": True}
CORNERS = {"align_corners": [True], "padding_mode": "zeros", "pixdim": [1.1, 2.3, 4.7]}
MIRRORED = {"align_corners": True, "padding_mode": "reflection", "mode": "nearest"}
FIT = {"_target_": "ResizeWithPadOrCropd", "keys": "image", "spatial_size": [32, 48, 16]}
PAD = {"_target_": "SpatialPadd", "keys": "image", "spatial_size": [49, 24, -1]}
CENTRE = {"_target_": "CenterSpatialCropd", "keys": "image", "roi_size": [51, 33, 9]}
PATCHES = {"_target_": "SlidingWindowInferer", "roi_size": [32, 32, 16], "sw_batch_size": 4, "overlap": 0.5}
BLENDED = PATCHES | {"mode": "gaussian", "padding_mode": "replicate", "overlap": 0.25}
WHOLE = {"_target_": "SimpleInferer"}
SOFTMAX = {"_target_": "Activationsd", "keys": "pred", "softmax": True}
BACK = {
    "_target_": "Invertd",
    "keys": "pred",
    "transform": "@preprocessing",
    "orig_keys": "image",
    "nearest_interp": False,
}
NEAREST = BACK | {"nearest_interp": True}
LARGEST = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}


def resized(*size: int, **more: Any) -> dict[str, Any]:
    return {"_target_": "Resized", "keys": "image", "spatial_size": list(size)} | more


def turned(*degrees: float, spacing_mm: tuple[float, float, float] = (8, 1.4, 1.3)) -> NDArray[np.float64]:
    """A stack turned about each axis of the patient; a NIfTI header does not hold all of its digits."""
    matrix = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], np.float64)
    for axis, angle in enumerate(np.radians(degrees)):
        turn, (one, two) = np.eye(3), [other for other in range(3) if other != axis]
        turn[one, one] = turn[two, two] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        matrix = turn @ matrix
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = matrix * spacing_mm, (-40, 12, 5)
    return affine


UPRIGHT, OBLIQUE, SAGITTAL = turned(0, 0, 0), turned(25, -38, 17), turned(3, 88, -4)


def config_of(network: dict[str, Any], before: list[Any], inferer: Any, after: list[Any]) -> dict[str, Any]:
    """As the Model Zoo has it, with nothing after the network but this, and saving."""
    config = a_zoo_config(network, before=before, inferer=inferer)
    config["postprocessing"]["transforms"] = [*after, config["postprocessing"]["transforms"][-1]]
    return config


SCORES, LABELS = [SOFTMAX, BACK, ARGMAX], [SOFTMAX, ARGMAX, NEAREST]


@pytest.mark.parametrize(
    ("before", "inferer", "after", "affine"),
    [
        pytest.param([RAS, SPACING, CLIP], PATCHES, SCORES, UPRIGHT, id="spleen_ct_segmentation"),
        pytest.param([RAS, SPACING, CLIP], PATCHES, SCORES, OBLIQUE, id="oblique"),
        pytest.param([RAS, SPACING, NONZERO, ONES], BLENDED, LABELS, OBLIQUE, id="wholeBody_ct_segmentation"),
        pytest.param([RAS, SPACING, CLIP, CROP], PATCHES, SCORES, SAGITTAL, id="pediatric_abdominal_ct"),
        pytest.param(
            [LPI, CROP | {"margin": 3, "k_divisible": 8, "mode": "constant"}, CLIP],
            PATCHES,
            SCORES,
            OBLIQUE,
            id="margin",
        ),
        pytest.param(
            [NONZERO], PATCHES | {"overlap": [0.5, 0.25, 0.6]}, [SOFTMAX, BACK, ARGMAX], UPRIGHT, id="as_stored"
        ),
        pytest.param([RAS, CLIP, resized(32, 40, 16)], WHOLE, SCORES, OBLIQUE, id="area"),
        pytest.param([RAS, CLIP, resized(32, 40, 16, mode="trilinear")], WHOLE, LABELS, SAGITTAL, id="trilinear"),
        pytest.param([RAS, SPACING | CORNERS, CLIP], PATCHES, SCORES, OBLIQUE, id="corners"),
        pytest.param([RAS, SPACING | MIRRORED, CLIP], PATCHES, LABELS, SAGITTAL, id="mirrored"),
        pytest.param([RAS, SPACING, RELATIVE], PATCHES, SCORES, OBLIQUE, id="percentiles"),
        pytest.param([RAS, SPACING, FIT, ONES], WHOLE, SCORES, OBLIQUE, id="fit"),
        pytest.param([RAS, PAD, CENTRE, ONES], PATCHES, SCORES, SAGITTAL, id="pad_and_centre"),
        pytest.param([RAS, SPACING, ONES], PATCHES, [BACK, ARGMAX, LARGEST], OBLIQUE, id="largest"),
        pytest.param(
            [RAS, SPACING | {"pixdim": [1.5, 1.5, -1]}, ONES],
            PATCHES,
            [ARGMAX, LARGEST | {"applied_labels": [1, 3], "independent": False, "connectivity": 1}, NEAREST],
            OBLIQUE,
            id="largest_before",
        ),
    ],
)
def test_masks_of_networks_with_three_axes_are_those_of_monai(
    before: list[Any], inferer: Any, after: list[Any], affine: NDArray[np.float64], tmp_path: Path
) -> None:
    config, net = config_of(SMALL_3D, before, inferer, after), a_zoo_net(SMALL_3D)
    volume = a_chest(44, 52, 9, affine)
    theirs, ours = by_monai(config, net, volume, tmp_path), by_us(a_zoo_bundle(config, net), volume)
    assert len(np.unique(theirs)) > 1
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("before", "inferer"),
    [
        pytest.param([RAS, SPACING, CLIP], SLICES | {"roi_size": [48, 32]}, id="slices"),
        pytest.param([RAS, ONES], SLICES | {"roi_size": [32, 32], "spatial_dim": 0}, id="other_slices"),
        pytest.param([CLIP, resized(32, 48, mode="bilinear", align_corners=False)], WHOLE, id="resized"),
    ],
)
@pytest.mark.parametrize("affine", [UPRIGHT, SAGITTAL], ids=["upright", "sagittal"])
def test_masks_of_networks_with_two_axes_are_those_of_monai(
    before: list[Any], inferer: Any, affine: NDArray[np.float64], tmp_path: Path
) -> None:
    config, net, volume = config_of(SMALL, before, inferer, SCORES), a_zoo_net(), a_chest(44, 52, 9, affine)
    theirs, ours = by_monai(config, net, volume, tmp_path), by_us(a_zoo_bundle(config, net), volume)
    assert len(np.unique(theirs)) > 1
    np.testing.assert_array_equal(ours if theirs.ndim == 3 else ours[0], theirs)


@pytest.mark.parametrize("seed", range(4))
def test_masks_are_those_of_monai_however_the_image_lies(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    spacing_mm = tuple(np.round(random.uniform(0.6, 9, 3), 1 + seed).tolist())
    volume = a_chest(
        31 + 7 * seed, 52 - 5 * seed, 1 + 4 * seed, turned(*random.uniform(-90, 90, 3), spacing_mm=spacing_mm)
    )
    config, net = config_of(SMALL_3D, [LPI, CROP, SPACING, NONZERO], PATCHES, LABELS), a_zoo_net(SMALL_3D)
    theirs, ours = by_monai(config, net, volume, tmp_path), by_us(a_zoo_bundle(config, net), volume)
    np.testing.assert_array_equal(ours, theirs)


def test_halfway_between_two_voxels_the_nearest_is_the_one_that_monai_takes(tmp_path: Path) -> None:
    half = SPACING | {"pixdim": [2.0, 2.0, 4.0]}
    config, net = config_of(SMALL_3D, [RAS, half, CLIP], PATCHES, LABELS), a_zoo_net(SMALL_3D)
    volume = a_chest(44, 52, 9, turned(0, 0, 0, spacing_mm=(2, 1, 1)))
    theirs, ours = by_monai(config, net, volume, tmp_path), by_us(a_zoo_bundle(config, net), volume)
    np.testing.assert_array_equal(ours, theirs)


SPLEEN = config_of(SMALL_3D, [RAS, SPACING, CLIP], PATCHES, SCORES)


def test_a_slice_asked_alone_is_as_in_its_series() -> None:
    data, volume = a_zoo_bundle(SPLEEN, a_zoo_net(SMALL_3D)), a_chest(44, 52, 9, OBLIQUE)
    every, bundle = by_us(data, volume), read_bundle(data)
    alone = Pipeline(bundle, TorchEngine(bundle)).segment(volume, slices=[4], frames=[0])
    np.testing.assert_array_equal(alone.labels[0, 0], every[4])
    assert sorted(alone.beside) == [0, 1, 2, 3, 5, 6, 7, 8]  # its frame was looked at as a whole
    np.testing.assert_array_equal(np.stack([one.labels[0, 0] for one in alone.beside.values()]), np.delete(every, 4, 0))


def test_doubt_of_a_program_lies_on_the_image() -> None:
    bundle = read_bundle(a_zoo_bundle(SPLEEN, a_zoo_net(SMALL_3D)))
    everything = Options(uncertainty=True, confidence=True, estimate=True)
    found = Pipeline(bundle, TorchEngine(bundle)).segment(
        a_chest(44, 52, 9, OBLIQUE), slices=[2, 3], options=everything
    )
    assert found.uncertainty is not None
    assert found.confidence is not None
    assert found.uncertainty.shape == found.confidence.shape == found.labels.shape == (1, 2, 44, 52)
    assert found.uncertainty.mean() > 100 > 255 / 4  # random weights know nothing
    assert set(found.estimate.expected_dice) <= set(bundle.structures)
    assert found.report.parameters["segment.grid"] == "32x32x16"
    assert read_spec(bundle.spec.to_json()) == bundle.spec


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ([RAS, CLIP], [SOFTMAX, ARGMAX], "no Invertd"),
        ([RAS, SPACING], [ARGMAX, BACK], "makes fractions of labels"),
        ([resized(32, 32, 16), SPACING], SCORES, "`space` comes before `resize`"),
        ([resized(32, 32)], SCORES, "of a frame have 3 sides"),
        ([SPACING | {"padding_mode": "wrap"}], SCORES, "Spacingd: `space.padding` is one of border, zeros"),
        ([SPACING | {"scale_extent": True}], SCORES, "`scale_extent` of Spacingd has no equal"),
        ([CROP | {"margin": 2}], SCORES, "`mode` of CropForegroundd has no equal"),
    ],
)
def test_what_would_not_end_on_the_image_or_not_in_labels_is_refused(before: Any, after: Any, says: str) -> None:
    with pytest.raises(PipelineNotDerived, match=says):
        read_bundle(a_zoo_bundle(config_of(SMALL_3D, before, PATCHES, after), a_zoo_net(SMALL_3D)))


LOOK = {"by": "patches", "size": [32, 32, 16]}


@pytest.mark.parametrize(
    "hostile",
    [
        {},
        {"look": {"by": "patches"}},
        {"look": LOOK | {"size": [32, 32, 1e9]}},
        {"look": LOOK | {"overlap": [1.0]}},
        {"look": LOOK, "before": [{"do": "__import__"}]},
        {"look": LOOK, "before": [{"do": "space", "mm": [1, 1, float("nan")]}], "after": {"back": "scores"}},
        {"look": LOOK, "before": [{"do": "range", "a_min": 0, "a_max": 0}]},
        {"look": LOOK, "before": [{"do": "standard"}] * 99},
        {"look": LOOK, "before": [{"do": "percentiles", "lower": 2, "upper": 98, "relative": True}]},
        {"look": LOOK, "after": {"largest": {"labels": "all"}}},
        {"look": LOOK, "after": {"back": "labels", "nearest": False}},
    ],
)
def test_a_program_is_plain_and_within_bounds(hostile: dict[str, Any]) -> None:
    with pytest.raises(PipelineNotValid):
        read_spec({"program": hostile})


ODD: list[Any] = [None, True, -1, 0, 1e9, float("nan"), "", "$x", "@image", "zeros", [], [1, 2], [[1]], {}, 2**70]


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """(object or list, key or number) of every value in it."""
    for key in part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ():
        yield part, key
        yield from places(part[key])


def test_odd_values_anywhere_are_refused_by_name_or_understood_and_never_stumbled_over() -> None:
    steps = [RAS, SPACING | CORNERS, CLIP, CROP, RELATIVE, FIT, NONZERO, ONES]
    config = config_of(SMALL_3D, steps, BLENDED, [*SCORES, LARGEST | {"applied_labels": [1, 2]}])
    random, refused = Random(1), 0
    for _ in range(500):
        changed = deepcopy(config)
        inside = {key: changed[key] for key in ("preprocessing", "inferer", "postprocessing")}
        part, key = random.choice(list(places(inside)))
        part[key] = deepcopy(random.choice(ODD))
        try:
            spec = read_spec(derive(changed | inside).pipeline())
        except PipelineNotDerived:
            refused += 1
            continue
        assert read_spec(spec.to_json()) == spec
    assert refused > 250


def test_beside_a_program_nothing_else_says_how_a_network_looks() -> None:
    assert read_spec({"program": {"look": LOOK}}).dimension == "3d"
    for other in ({"orientation": "LF"}, {"segment": {"size": 64}}, {"augment": ["flip-rows"]}):
        with pytest.raises(PipelineNotValid, match="beside `program`"):
            read_spec({"program": {"look": LOOK}, **other})


def test_an_image_that_would_be_too_fine_is_refused() -> None:
    fine = config_of(SMALL_3D, [RAS, SPACING | {"pixdim": [0.01, 0.01, 0.01]}], PATCHES, SCORES)
    with pytest.raises(RegionTooLarge):
        by_us(a_zoo_bundle(fine, a_zoo_net(SMALL_3D)), a_chest(44, 52, 9))


@pytest.mark.parametrize(
    "step", [Resize(size=(1024, 1024, 1024)), Fit(size=(1024, 1024, 1024)), Crop(margin=64, divisible=256)]
)
def test_a_step_that_would_make_an_image_too_large_is_refused_before_it_takes_memory(
    step: Resize | Fit | Crop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(*_: object, **__: object) -> None:
        pytest.fail("the image was made")

    monkeypatch.setattr(functional, "pad", taken)
    monkeypatch.setattr(functional, "interpolate", taken)
    # One voxel, which says that it is many: nothing here has the size that it speaks of.
    image = Placed(torch.ones(1).expand(1, 300, 300, 300), np.eye(4))
    with pytest.raises(RegionTooLarge):
        step.moved(image)


def test_a_margin_is_some_tens_of_voxels() -> None:
    assert Crop(margin=64).margin == 64
    with pytest.raises(PipelineNotValid, match=r"crop\.margin"):
        Crop(margin=65)


def test_an_image_of_nothing_is_not_cropped_away() -> None:
    config = config_of(SMALL_3D, [CROP], PATCHES, SCORES)
    volume = a_chest(44, 52, 9)
    empty = replace(volume, array=np.zeros_like(volume.array))
    assert by_us(a_zoo_bundle(config, a_zoo_net(SMALL_3D)), empty).shape == (9, 44, 52)


def test_structures_that_are_not_known_here_count_as_background_beside_those_that_are() -> None:
    channels = {"0": "background", "1": "heart_ventricle_left", "2": "spleen", "3": "heart_myocardium"}
    data = a_zoo_bundle(SPLEEN, a_zoo_net(SMALL_3D), channels=channels)
    bundle, volume = read_bundle(data), a_chest(44, 52, 9)
    assert bundle.structures == ("lv_blood_pool", "lv_myocardium")
    assert bundle.derived[-1] == "channel_def: 1 structure of it is not known here, and counts as background"
    named, all_known = by_us(data, volume), by_us(a_zoo_bundle(SPLEEN, a_zoo_net(SMALL_3D)), volume)
    np.testing.assert_array_equal(named, np.array([0, 1, 0, 2], np.uint8)[all_known])


TOO_MANY = ("lv_pool", *(f"rib {number}" for number in range(256)))


@pytest.mark.parametrize("names", [("spleen", "liver", "stomach"), ("lv_pool", "lv_cavity", "spleen"), TOO_MANY])
def test_a_bundle_of_no_known_structure_or_of_one_twice_is_refused(names: tuple[str, ...]) -> None:
    channels = {"0": "background"} | {str(number): name for number, name in enumerate(names, 1)}
    config = SPLEEN | {"network_def": SMALL_3D | {"out_channels": len(channels)}}
    with pytest.raises(ChannelsNotKnown):
        read_bundle(a_zoo_bundle(config, a_zoo_net(SMALL_3D), channels=channels))
