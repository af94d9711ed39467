"""What you learn here: volumes and ejection fraction from an expert's contours equal the data set's own reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from irp_kernel import Mask, Volume
from irp_radiomics.domain.function import cardiac_function
from openirp.demo.hearts import DICOM_PATIENTS, examples_folder, references

Hearts = Callable[[str], tuple[Volume, Mask]]


@pytest.mark.parametrize("name", DICOM_PATIENTS)
def test_volumes_and_ejection_fraction_equal_the_reference(name: str, real_heart: Hearts) -> None:
    found, reference = cardiac_function(real_heart(name)[1]), references(examples_folder())[name]
    assert found.edv_ml == pytest.approx(reference.edv_ml, rel=0.01)
    assert found.esv_ml == pytest.approx(reference.esv_ml, rel=0.01)
    assert found.lvef_percent == pytest.approx(reference.ef_percent, abs=0.5)
    assert 80 < found.mass_g < 400


def test_one_judged_frame_has_a_volume_and_no_ejection_fraction(real_heart: Hearts) -> None:
    _, mask = real_heart("SCD0000201")
    annotated = mask.annotated.copy()
    annotated[1] = False
    found = cardiac_function(replace(mask, annotated=annotated))
    assert found.edv_ml > 0
    assert np.isnan(found.lvef_percent)
    assert "one frame only" in found.note


def test_a_hole_in_the_judged_slices_is_no_volume(real_heart: Hearts) -> None:
    _, mask = real_heart("SCD0000201")
    annotated = mask.annotated.copy()
    annotated[:, 4] = False
    found = cardiac_function(replace(mask, annotated=annotated))
    assert np.isnan(found.edv_ml)
    assert "not judged" in found.note
