"""What you learn here: our way to PyRadiomics changes no digit, neither of its own baseline nor of its own `execute`.

`data/`: the case breast1 of PyRadiomics' baseline (BSD-3-Clause, see data/LICENSE.txt).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from irp_kernel import Geometry, Volume, encode_mask, encode_volume
from irp_kernel.geometry import to_matrix
from irp_radiomics.domain.features import extract, make_extractor, to_sitk, values_of
from irp_radiomics.domain.ibsi import ibsi_code
from irp_radiomics.domain.pieces import divide
from radiomics import featureextractor

from .phantom import a_grid, a_heart

DATA = Path(__file__).parent / "data"
BASELINE = json.loads((DATA / "breast1_baseline.json").read_text())


def volume_of(image: SimpleITK.Image) -> Volume:
    """A SimpleITK image as the house keeps it: (slice, row, column), LPS."""
    matrix = np.eye(4)
    direction, spacing = np.array(image.GetDirection()).reshape(3, 3), np.array(image.GetSpacing())
    matrix[:3, :3], matrix[:3, 3] = (direction * spacing)[:, ::-1], image.GetOrigin()
    array = SimpleITK.GetArrayFromImage(image)
    return Volume(geometry=Geometry(shape=array.shape, affine=to_matrix(matrix)), array=array[None])


@pytest.mark.filterwarnings("ignore")
def test_the_published_baseline_is_met() -> None:
    image = volume_of(SimpleITK.ReadImage(str(DATA / "breast1_image.nrrd")))
    label = volume_of(SimpleITK.ReadImage(str(DATA / "breast1_label.nrrd")))
    extractor = featureextractor.RadiomicsFeatureExtractor(binWidth=25, voxelArrayShift=2000, additionalInfo=False)
    extractor.enableAllFeatures()
    found = extractor.execute(to_sitk(image, image.array[0]), to_sitk(label, label.array[0]))
    assert len(BASELINE) == 107
    for name, value in BASELINE.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-9, abs=1e-12), name


@pytest.mark.filterwarnings("ignore")
def test_filtering_once_for_all_pieces_equals_executing_each() -> None:
    volume, mask = a_heart(a_grid(turn_deg=20))
    pieces = [p for p in divide(mask, 0).pieces if p.name in {"mid inferior", "lv_myocardium"}]
    assert len(pieces) == 2
    ours = {(v.roi, v.feature): v.value for v in values_of(volume, 0, pieces)}
    image = to_sitk(volume, volume.array[0].astype(np.float64))
    for piece in pieces:
        theirs = make_extractor().execute(image, to_sitk(volume, piece.voxels.astype(np.uint8)))
        expected = {name: float(value) for name, value in theirs.items() if np.isfinite(float(value))}
        assert {feature: value for (roi, feature), value in ours.items() if roi == piece.name} == expected


def test_the_same_series_gives_the_same_numbers() -> None:
    volume, mask = a_heart(a_grid())
    files = encode_volume(volume), encode_mask(mask)
    one, two = extract(*files), extract(*files)
    assert one.values == two.values
    assert len({value.roi for value in one.values if value.kind == "aha"}) == 17


def test_codes_of_the_standard_stand_beside_the_names() -> None:
    assert ibsi_code("original_firstorder_Mean") == "Q4LE"
    assert ibsi_code("original_glcm_Contrast") == "ACUI"
    assert ibsi_code("original_firstorder_NoSuchFeature") == ""
