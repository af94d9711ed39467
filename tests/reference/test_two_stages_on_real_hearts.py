"""What you learn here: the shipped model finds a real heart wherever it lies, because of its first stage.

Sunnybrook (CC0) was scanned at another hospital, by another maker, than the images the model learnt from.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from irp_bundle import Located, Pipeline, TorchEngine, dice_per_structure, read_bundle
from irp_bundle.boxes import whole
from irp_kernel import Geometry, LabelTable, Mask, Volume
from numpy.typing import NDArray
from openirp.demo.hearts import PNG_PATIENTS, examples_folder
from openirp.demo.pictures_as_dicom import pictures

MOVED_PX = 60
WITHIN = 0.02
POOL = "lv_blood_pool"


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    bundle = read_bundle((Path(__file__).parents[2] / "models" / "cine.zip").read_bytes())
    return Pipeline(bundle, TorchEngine(bundle))
