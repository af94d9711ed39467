"""What you learn here: the registry takes a bundle that only runs; it is not learnt further."""

from __future__ import annotations

import pytest
from irp_bundle import WeightsMissing, read_bundle
from irp_training.domain.networks import definitions
from irp_training.domain.pushed import describe
from irp_training.domain.recipe import Recipe

from tests.bundle.exported import STRUCTURES, a_convolution, exported_bundle, onnx_of, script_of


@pytest.mark.parametrize("export", [onnx_of, script_of])
def test_the_registry_takes_a_bundle_that_only_runs(export: type) -> None:
    path = "models/model.onnx" if export is onnx_of else "models/model.ts"
    data = exported_bundle({path: export(a_convolution())})
    about = describe(data)
    assert (about.structures, about.licence) == (tuple(STRUCTURES), "MIT")
    with pytest.raises(WeightsMissing):
        definitions(Recipe(), STRUCTURES, read_bundle(data))
