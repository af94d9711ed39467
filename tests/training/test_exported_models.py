"""What you learn here: the registry takes bundles that are not learnt further: they only run, or see other images."""

from __future__ import annotations

import pytest
from irp_bundle import WeightsMissing, read_bundle
from irp_training.domain.errors import PipelineNotLearnt
from irp_training.domain.networks.build import definitions
from irp_training.domain.pushing.pushed import describe
from irp_training.domain.recipes.recipe import Recipe

from tests.bundle.exported import STRUCTURES, a_convolution, exported_bundle, onnx_of, script_of
from tests.bundle.zoo_bundles import SMALL_3D, a_zoo_bundle, a_zoo_config, a_zoo_net


@pytest.mark.parametrize("export", [onnx_of, script_of])
def test_the_registry_takes_a_bundle_that_only_runs(export: type) -> None:
    path = "models/model.onnx" if export is onnx_of else "models/model.ts"
    data = exported_bundle({path: export(a_convolution())})
    about = describe(data)
    assert (about.structures, about.licence) == (tuple(STRUCTURES), "MIT")
    with pytest.raises(WeightsMissing):
        definitions(Recipe(), STRUCTURES, read_bundle(data))


@pytest.mark.parametrize("pipeline", ["base", "own"])
def test_a_network_that_looks_at_whole_frames_is_not_learnt_further(pipeline: str) -> None:
    patches = {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 4]}
    data = a_zoo_bundle(a_zoo_config(SMALL_3D, inferer=patches), a_zoo_net(SMALL_3D))
    with pytest.raises(PipelineNotLearnt):
        definitions(Recipe(pipeline=pipeline), STRUCTURES, read_bundle(data))  # type: ignore[arg-type]
