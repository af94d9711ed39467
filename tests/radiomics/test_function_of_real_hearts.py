"""What you learn here: volumes and ejection fraction from an expert's contours equal the data set's own reference."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from irp_annotation.domain.contours import Contour, draw
from irp_annotation.domain.structures import LabelChoice, Structures
from irp_kernel import Geometry, Mask
from irp_radiomics.domain.function import cardiac_function
from openirp.demo.hearts import DICOM_PATIENTS, dicom_heart, examples_folder, references
from openirp.demo.placing import places


def expert_mask(name: str) -> Mask:
    """The expert's contours on the stack's grid."""
    heart = dicom_heart(examples_folder(), name)
    where = places(heart.files)
    headers = [pydicom.dcmread(io.BytesIO(file), stop_before_pixels=True) for file in heart.files]
    positions = {where[int(h.InstanceNumber)][1]: np.array(h.ImagePositionPatient, dtype=float) for h in headers}
    directions = [float(x) for x in headers[0].ImageOrientationPatient]
    pitch = float(np.linalg.norm(positions[max(positions)] - positions[0])) / max(positions)
    first = headers[0]
    geometry = Geometry.from_dicom(
        position_mm=tuple(positions[0]),
        row_direction=tuple(directions[:3]),
        column_direction=tuple(directions[3:]),
        spacing_mm=(pitch, *(float(x) for x in first.PixelSpacing)),
        shape=(len(positions), first.Rows, first.Columns),
        frames=1 + max(frame for frame, _ in where.values()),
    )
    contours = [
        Contour(structure=structure, frame=where[number][0], slice=where[number][1], points=points)
        for structure, drawn in (("lv_blood_pool", heart.cavity), ("lv_epicardium", heart.epicardium))
        for number, points in drawn.items()
    ]
    return draw(contours, geometry, Structures(), LabelChoice({}))


@pytest.mark.parametrize("name", DICOM_PATIENTS)
def test_volumes_and_ejection_fraction_equal_the_reference(name: str) -> None:
    found, reference = cardiac_function(expert_mask(name)), references(examples_folder())[name]
    assert found.edv_ml == pytest.approx(reference.edv_ml, rel=0.01)
    assert found.esv_ml == pytest.approx(reference.esv_ml, rel=0.01)
    assert found.lvef_percent == pytest.approx(reference.ef_percent, abs=0.5)
    assert 80 < found.mass_g < 400


def test_one_judged_frame_has_a_volume_and_no_ejection_fraction() -> None:
    mask = expert_mask("SCD0000201")
    annotated = mask.annotated.copy()
    annotated[1] = False
    found = cardiac_function(replace(mask, annotated=annotated))
    assert found.edv_ml > 0
    assert np.isnan(found.lvef_percent)
    assert "one frame only" in found.note


def test_a_hole_in_the_judged_slices_is_no_volume() -> None:
    mask = expert_mask("SCD0000201")
    annotated = mask.annotated.copy()
    annotated[:, 4] = False
    found = cardiac_function(replace(mask, annotated=annotated))
    assert np.isnan(found.edv_ml)
    assert "not judged" in found.note
