"""What you learn here: how the demo's hearts are read, placed and planted, and that a search finds secrets."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from openirp.demo.clinical import fhir_bundle, table
from openirp.demo.hearts import DICOM_PATIENTS, PNG_PATIENTS, dicom_heart, examples_folder, references
from openirp.demo.pictures_as_dicom import picture_heart
from openirp.demo.placing import places
from openirp.demo.plan import SPLIT, Case, cast
from openirp.demo.planting import identity, plant, search
from openirp.demo.truth import contours

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # the set's own UIDs have leading zeros


@pytest.fixture(scope="module")
def case() -> Case:
    heart = dicom_heart(examples_folder(), "SCD0000201")
    return Case(heart, identity(1), "test", places(heart.files))


def test_every_contour_has_its_image(case: Case) -> None:
    assert set(case.heart.cavity) == set(case.places)
    assert set(case.heart.epicardium) < set(case.heart.cavity)


def test_volumes_from_the_placed_contours_equal_the_reference(case: Case) -> None:
    header = pydicom.dcmread(io.BytesIO(case.heart.files[0]), stop_before_pixels=True)
    voxel = float(header.PixelSpacing[0]) ** 2 * float(header.SpacingBetweenSlices) / 1000
    volume = dict.fromkeys((0, 1), 0.0)
    for number, points in case.heart.cavity.items():
        x, y = points.T
        area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
        volume[case.places[number][0]] += float(area) * voxel
    reference = references(examples_folder())["SCD0000201"]
    assert volume[1] == pytest.approx(reference.edv_ml, abs=0.01)  # end-diastole was triggered later
    assert volume[0] == pytest.approx(reference.esv_ml, abs=0.01)


def test_the_edge_is_steepest_where_the_contours_lie(case: Case) -> None:
    def contrast(shift: float) -> float:
        total = 0.0
        for file in case.heart.files:
            image = pydicom.dcmread(io.BytesIO(file))
            points = case.heart.cavity[int(image.InstanceNumber)] + shift
            outwards = points - points.mean(axis=0)
            outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
            inner, outer = np.rint(points - 2 * outwards).astype(int), np.rint(points + 2 * outwards).astype(int)
            pixels = image.pixel_array.astype(float)
            total += float((pixels[inner[:, 1], inner[:, 0]] - pixels[outer[:, 1], outer[:, 0]]).mean())
        return total

    assert contrast(0.0) > contrast(1.0)
    assert contrast(0.0) > contrast(-2.0)


def test_no_epicardium_is_sent_where_the_expert_drew_none(case: Case) -> None:
    sent = json.loads(contours(case))["contours"]
    frames = {one["frame"] for one in sent if one["structure"] == "lv_epicardium"}
    assert frames == {1}
    assert {one["frame"] for one in sent if one["structure"] == "lv_blood_pool"} == {0, 1}


def test_planted_identities_stand_in_the_header_and_the_pixels_stay(case: Case) -> None:
    before = pydicom.dcmread(io.BytesIO(case.heart.files[0]))
    after = pydicom.dcmread(io.BytesIO(plant(case.heart.files[0], case.planted)))
    assert after.PatientName == case.planted.name
    assert after.PatientID == case.planted.patient_id
    assert np.array_equal(before.pixel_array, after.pixel_array)


def test_pictures_become_an_mr_series_with_two_frames_per_slice() -> None:
    heart = picture_heart(examples_folder(), "SC-HYP-01")
    placed = places(heart.files)
    assert {frame for frame, _ in placed.values()} == {0, 1}
    assert set(heart.cavity_masks) == set(placed)
    one = pydicom.dcmread(io.BytesIO(heart.files[0]))
    assert one.pixel_array.shape == (256, 256)


def test_a_search_finds_a_secret_as_it_is_and_inside_gzip(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plain.log").write_text("seen: Bachstelzer")
    (tmp_path / "data" / "packed.nrrd").write_bytes(b"NRRD0005\n\n" + gzip.compress(b"QH7305126"))
    found = search(tmp_path, ["Bachstelzer", "QH7305126", "Nobody"])
    assert found.files == 2
    assert found.found == ((0, "data/plain.log"), (1, "data/packed.nrrd"))


def test_the_split_covers_everyone_once_and_keeps_all_kinds_apart() -> None:
    assert set(SPLIT) == {*DICOM_PATIENTS, *PNG_PATIENTS}
    few = list(cast(examples_folder(), short=True))
    assert len(few) == 5
    assert {case.split for case in few} == {"training", "validation", "test"}


@pytest.mark.parametrize("name", ["SCD0000201", "SC-N-02"])
def test_pictures_are_stacked_in_the_direction_of_the_scanners_own_files(name: str) -> None:
    heart = dicom_heart(examples_folder(), name) if name in DICOM_PATIENTS else picture_heart(examples_folder(), name)
    slices = [slice_ for _, (_, slice_) in sorted(places(heart.files).items())]
    assert slices == sorted(slices, reverse=True)


def test_the_clinical_table_names_patients_as_the_headers_do() -> None:
    bundle = json.loads(fhir_bundle([("QH1", 85.0)]))
    assert [entry["resource"]["resourceType"] for entry in bundle["entry"]] == ["Patient", "Observation"]
    assert table([("QH1", "N")]) == b"patient_id,group\nQH1,N\n"
