"""What you learn here: a bundle as the Model Zoo has it gives MONAI's own masks, or says what it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from irp_bundle import (
    BundleBroken,
    NetworkNotAllowed,
    PipelineNotDerived,
    PipelineNotValid,
    read_bundle,
    read_spec,
)
from irp_bundle.documents import read_yaml
from irp_bundle.references import resolved
from irp_bundle.unread import unread_keys

from .zoo_bundles import (
    ARGMAX,
    PUBLISHED,
    SCALE,
    SLICES,
    SMALL,
    a_chest,
    a_zoo_bundle,
    a_zoo_config,
    a_zoo_net,
    by_monai,
    by_us,
)


@pytest.mark.parametrize(
    ("network", "size", "before", "inferer"),
    [
        (PUBLISHED, (170, 200), None, SLICES),
        (SMALL, (150, 190), None, SLICES | {"roi_size": [64, 64], "overlap": 0.25}),
        (SMALL, (150, 60), None, SLICES | {"roi_size": [64, 64], "overlap": 0.5, "mode": "gaussian"}),
        (SMALL, (90, 80), [{"_target_": "NormalizeIntensityd", "keys": ["image"]}], SLICES),
        (SMALL, (90, 80), [{"_target_": "NormalizeIntensityD", "keys": "image", "nonzero": True}], SLICES),
        (
            SMALL,
            (90, 80),
            [
                {"_target_": "monai.transforms.Orientationd", "keys": "image", "axcodes": "RAS"},
                {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": 5, "a_max": 150, "b_min": 0, "b_max": 1}
                | {"clip": True},
            ],
            SLICES,
        ),
    ],
    ids=["published", "sliding", "gaussian", "standard", "nonzero", "oriented"],
)
def test_masks_are_those_of_monai(
    network: dict[str, Any], size: tuple[int, int], before: Any, inferer: dict[str, Any], tmp_path: Path
) -> None:
    config, net, volume = a_zoo_config(network, before=before, inferer=inferer), a_zoo_net(network), a_chest(*size)
    theirs, ours = by_monai(config, net, volume, tmp_path), by_us(a_zoo_bundle(config, net), volume)
    assert len(np.unique(theirs)) > 1
    np.testing.assert_array_equal(ours, theirs)


def test_networks_of_single_images_see_single_images(tmp_path: Path) -> None:
    inferer = {"_target_": "SlidingWindowInferer", "roi_size": 64, "overlap": 0.3}
    config, net, volume = a_zoo_config(inferer=inferer), a_zoo_net(), a_chest(100, 80)
    theirs, ours = by_monai(config, net, volume, tmp_path), by_us(a_zoo_bundle(config, net), volume)
    assert len(np.unique(theirs)) > 1
    np.testing.assert_array_equal(ours[0], theirs)


def test_a_slice_asked_alone_is_as_in_its_series() -> None:
    data, volume = a_zoo_bundle(a_zoo_config(), a_zoo_net()), a_chest(80, 90)
    np.testing.assert_array_equal(by_us(data, volume, slices=[1])[0], by_us(data, volume)[1])


def test_yaml_and_weights_in_a_checkpoint_are_read_and_a_report_knows_what_became_of_the_parts() -> None:
    config = a_zoo_config()
    bundle = read_bundle(a_zoo_bundle(config, a_zoo_net(), as_yaml=True, wrapped=True))
    assert bundle.structures == ("lv_blood_pool", "lv_myocardium", "rv_blood_pool")
    assert bundle.licence.startswith("Apache License")
    assert any(note.startswith("SliceInferer: look, by slices, size 256 x 256") for note in bundle.derived)
    assert "handlers" in unread_keys(bundle.config, derived=True)
    assert read_spec(bundle.spec.to_json()) == bundle.spec


NOT_INVERTED = {"_target_": "Spacingd", "keys": "image", "pixdim": [1, 1, 1]}
SLIDING = {"_target_": "SlidingWindowInferer", "roi_size": [64, 64]}
LOADED = {"_target_": "LoadImaged", "keys": "image"}
LARGEST = {"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        ({"before": [{"_target_": "os.system", "command": "true"}]}, "system has no equal"),
        ({"before": [SCALE | {"factor": 0.1}]}, "`factor` of ScaleIntensityd"),
        ({"before": [SCALE | {"minv": "$__import__('os')"}]}, "is an expression"),
        ({"before": [{"_target_": "Spacingd", "pixdim": [1, 1, 1], "mode": 3}]}, "Spacingd: `space.mode`"),
        ({"before": [{"_target_": "Spacingd", "pixdim": [1, 1, 1], "diagonal": True}]}, "`diagonal` of Spacingd"),
        (
            {"before": [{"_target_": "Resized", "spatial_size": [64, 64], "size_mode": "longest"}]},
            "`size_mode` of Resized",
        ),
        ({"before": [{"_target_": "Orientationd", "axcodes": "RAR"}]}, "Orientationd: `orient.to`"),
        ({"before": [{"_target_": "CropForegroundd", "select_fn": "$f"}]}, "`select_fn` of CropForegroundd is an expr"),
        ({"before": [SCALE | {"_disabled_": "$True"}]}, "whether ScaleIntensityd is there"),
        ({"before": [{"_target_": "EnsureTyped", "dtype": "$torch.int8"}]}, "EnsureTyped"),
        ({"before": [SCALE | {"keys": "label"}]}, "`keys` of ScaleIntensityd do not name `image`"),
        ({"after": [ARGMAX | {"keys": ["label"]}]}, "`keys` of AsDiscreted do not name `pred`"),
        ({"before": [LOADED | {"reverse_indexing": True}]}, "`reverse_indexing` of LoadImaged"),
        (
            {"before": [LOADED | {"reader": {"_target_": "ITKReader", "reverse_indexing": True}}]},
            "`reader` of LoadImaged",
        ),
        ({"inferer": {"_target_": "SimpleInferer"}}, "SimpleInferer has an equal where Resized"),
        ({"inferer": SLICES | {"spatial_dim": 3}}, "SliceInferer: `look.axis`"),
        ({"inferer": SLICES | {"roi_size": [256, -1]}}, "SliceInferer: `look.size`"),
        ({"inferer": SLICES | {"padding_mode": "circular"}}, "SliceInferer: `look` is one of constant, replicate"),
        ({"inferer": SLIDING, "before": [NOT_INVERTED]}, "a slice by itself has no place in space"),
        ({"after": [LARGEST, ARGMAX]}, "KeepLargestConnectedComponentd comes once, after AsDiscreted"),
        ({"after": [ARGMAX, ARGMAX]}, "AsDiscreted comes once"),
        ({"after": []}, "no AsDiscreted"),
        ({"after": [ARGMAX | {"threshold": 0.5}]}, "`threshold` of AsDiscreted"),
    ],
)
def test_the_first_part_that_has_no_equal_is_named(parts: dict[str, Any], names: str) -> None:
    with pytest.raises(PipelineNotDerived, match=names):
        read_bundle(a_zoo_bundle(a_zoo_config(**parts), a_zoo_net()))


def test_references_are_followed_and_never_without_end() -> None:
    config = a_zoo_config() | {"roi": [64, 64], "inferer": SLICES | {"roi_size": "@roi"}}
    assert read_bundle(a_zoo_bundle(config, a_zoo_net())).spec.segment.size == 64
    bomb = {f"a{n}": [f"@a{n + 1}"] * 9 for n in range(9)} | {"a9": 1}
    for hostile in ({"a": "@a"}, bomb | {"a": "@a0"}, {"a": "@nowhere"}):
        with pytest.raises(PipelineNotDerived):
            resolved("@a", hostile)


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x", "a: !!python/object/apply:os.system ['true']", "[1", "- 1"])
def test_yaml_holds_plain_values_only(text: str) -> None:
    with pytest.raises(BundleBroken):
        read_yaml(text.encode())


def test_a_network_that_is_not_on_the_list_stays_refused() -> None:
    with pytest.raises(NetworkNotAllowed):
        read_bundle(a_zoo_bundle(a_zoo_config({**SMALL, "_target_": "scripts.net.Own"}), a_zoo_net()))


@pytest.mark.parametrize(
    "segment",
    [
        {"normalise": "minmax"},
        {"slide": True},
        {"slide": True, "normalise": "minmax", "spacing": 1.0},
        {"slide": True, "normalise": "minmax", "dimension": "3d"},
    ],
)
def test_sliding_and_scales_of_whole_slices_go_together(segment: dict[str, Any]) -> None:
    with pytest.raises(PipelineNotValid):
        read_spec({"segment": segment})
