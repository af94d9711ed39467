"""What you learn here: segments lie where they lie in the patient, though one of the three hearts is stored turned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from irp_bundle import Pipeline, TorchEngine, read_bundle
from irp_kernel import Mask, Volume
from irp_radiomics.domain.pieces import divide
from openirp.demo.hearts import DICOM_PATIENTS

CINE = Path(__file__).parents[2] / "models" / "cine.zip"


@pytest.mark.parametrize("name", DICOM_PATIENTS)
def test_the_walls_lie_where_readers_look_for_them(name: str, real_heart: Callable[[str], tuple[Volume, Mask]]) -> None:
    bundle = read_bundle(CINE.read_bytes())
    volume, truth = real_heart(name)
    frame = int(np.flatnonzero(truth.judged("lv_myocardium").any(axis=1))[0])
    proposal, _ = Pipeline(bundle, TorchEngine(bundle)).run(volume, frames=[frame])
    division = divide(truth, frame, proposal)
    assert division.septum == "proposed mask"
    grid = volume.geometry
    middle = {p.name: grid.to_patient(np.argwhere(p.voxels).mean(axis=0)) for p in division.pieces if p.kind == "aha"}
    for ring, anterior, inferior, septal, lateral in (
        ("basal", "anterior", "inferior", "anteroseptal", "inferolateral"),
        ("mid", "anterior", "inferior", "anteroseptal", "inferolateral"),
        ("apical", "anterior", "inferior", "septal", "lateral"),
    ):
        assert middle[f"{ring} {anterior}"][2] > middle[f"{ring} {inferior}"][2] + 10, "superior, in mm"
        assert middle[f"{ring} {septal}"][0] < middle[f"{ring} {lateral}"][0] - 10, "to the patient's right, in mm"
    apexward = middle["apical inferior"] - middle["basal inferior"]
    assert apexward[0] > 0 > apexward[1], "the apex points left and forward"
