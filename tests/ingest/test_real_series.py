"""What you learn here: real series, with the oddities that scanners write, become volumes; odd files stop nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pydicom.data
import pytest
from irp_chassis.wire import object_ref_from_proto
from irp_kernel import decode_volume

from .conftest import Door, files_of, real_data


@pytest.mark.parametrize(
    ("patient", "shape", "pitch_mm"),
    [
        ("SCD0000101", [20, 12, 256, 256], 10.0),
        ("SCD0000201", [2, 9, 256, 256], 10.0),
        ("SCD0000301", [2, 10, 256, 256], 8.0),
    ],
)
async def test_sunnybrook_cines_become_volumes_with_their_true_pitch(
    door: Door, patient: str, shape: list[int], pitch_mm: float
) -> None:
    files = files_of(real_data("sunnybrook", f"{patient}.tar.xz"))
    outcomes = await door.upload(files)
    assert {outcome.failure_reason for outcome in outcomes} == {0}
    state = await door.settled(outcomes[0].series_uid)
    assert state.state == "assembled", (state.reason, state.message)
    assert list(state.series.shape) == shape
    # positions are rounded to 0.001 mm in these headers
    assert state.series.spacing_mm[0] == pytest.approx(pitch_mm, abs=2e-3)
    assert state.series.sequence_class == "cine-short-repetition"
    assert (
        state.series.manufacturer_model
        == pydicom.dcmread(pydicom.filebase.DicomBytesIO(files[0])).ManufacturerModelName
    )
    volume = decode_volume(await door.objects.get(object_ref_from_proto(state.series.volume)))
    first = min((pydicom.dcmread(pydicom.filebase.DicomBytesIO(f)) for f in files), key=_height_then_time)
    assert np.array_equal(volume.array[0, 0], first.pixel_array)
    at_first = volume.geometry.to_patient(np.zeros(3))
    assert np.allclose(at_first, [float(x) for x in first.ImagePositionPatient], atol=1e-6)


def _height_then_time(ds: pydicom.Dataset) -> tuple[float, float]:
    directions = np.array([float(x) for x in ds.ImageOrientationPatient])
    normal = np.cross(directions[:3], directions[3:])
    return round(float(normal @ np.array([float(x) for x in ds.ImagePositionPatient])), 1), float(ds.TriggerTime)


@pytest.mark.parametrize(
    ("archive", "shape"),
    [
        ("STS_002_MR_T1_rtstruct", (1, 35, 90, 115)),
        ("CMB-CRC-MSB-06489_toshiba_ADC", (1, 36, 288, 256)),
        ("qadeident_sag_SPGR_24slices", (1, 24, 256, 256)),
    ],
)
async def test_other_makers_series_become_volumes(door: Door, archive: str, shape: tuple[int, ...]) -> None:
    files = files_of(real_data("mr_dicom_series", f"{archive}.tar.xz"))
    outcomes = [o for o in await door.upload(files) if o.failure_reason == 0]
    states = [await door.settled(uid) for uid in {o.series_uid for o in outcomes}]
    found = {tuple(state.series.shape) for state in states if state.state == "assembled"}
    assert found == {shape}, [(s.state, s.reason, s.message) for s in states]


async def test_odd_and_compressed_files_stop_nothing(door: Door) -> None:
    folders = [real_data("dicom_odd"), real_data("dicom_compressed_wg04"), real_data("dicom_deid")]
    files = [path.read_bytes() for folder in folders for path in sorted(folder.rglob("*.dcm"))]
    outcomes = await door.upload(files)
    assert len(outcomes) == len(files)
    for uid in {o.series_uid for o in outcomes if o.failure_reason == 0}:
        state = await door.settled(uid)
        assert state.state == "assembled" or state.reason
    assert {o.reason for o in outcomes} <= {
        "", "QUARANTINED", "NOT_DICOM", "CONTENT_DIFFERS", "SOP_CLASS_UNKNOWN", "CANNOT_DEIDENTIFY"
    }  # fmt: skip


async def test_pydicoms_own_test_files_stop_nothing(door: Door) -> None:
    folder = Path(pydicom.data.__file__).parent / "test_files"
    files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    outcomes = await door.upload(files)
    assert len(outcomes) == len(files)
    assert sum(o.failure_reason == 0 for o in outcomes) > 20
    (again,) = await door.upload([files[0]])
    assert again.reason == outcomes[0].reason
    assert len(await door.search("study")) == len({o.study_uid for o in outcomes if o.failure_reason == 0})
