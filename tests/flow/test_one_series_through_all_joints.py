"""What you learn here: a scan goes in by STOW-RS, is de-identified and stored, and its quality appears unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicomweb_client import DICOMwebClient
from openirp.house import House
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from .conftest import SECRETS, Frontend, a_short_axis_cine, planted

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("house")]


def test_an_uploaded_series_becomes_a_judged_volume(frontend: Frontend) -> None:
    frontend.create_project("through-joints")
    answer = frontend.stow("through-joints", a_short_axis_cine())
    assert answer.status == 200
    assert answer.count("00081199") == 12
    quality = frontend.wait(
        f"/api/v1/projects/through-joints/series/{answer.series_uid}/quality", lambda r: r.status_code == 200
    ).json()
    assert quality["verdict"] in {"good", "review", "unusable"}
    assert len(quality["slices"]) == 3
    assert {"snr", "cnr", "homogeneity", "artefact"} <= set(quality["slices"][0]["parameters"])


def test_the_same_upload_twice_is_one(frontend: Frontend) -> None:
    frontend.create_project("twice")
    files = a_short_axis_cine(seed=2)
    first, second = frontend.stow("twice", files), frontend.stow("twice", files)
    assert (first.status, second.status) == (200, 200)
    assert first.body == second.body
    studies = frontend.http.get("/api/v1/projects/twice/dicom-web/studies").json()
    assert len(studies) == 1
    assert studies[0]["00201208"]["Value"] == [12]


def test_nothing_of_the_planted_names_is_anywhere(frontend: Frontend, home: Path) -> None:
    frontend.create_project("planted")
    answer = frontend.stow("planted", a_short_axis_cine(seed=3))
    frontend.wait(f"/api/v1/projects/planted/series/{answer.series_uid}/quality", lambda r: r.status_code == 200)
    assert planted(home) == []


def test_dicomweb_client_can_do_the_same(frontend: Frontend, house: House) -> None:
    frontend.create_project("by-client")
    environment = house.exports()
    client = DICOMwebClient(
        f"{environment['IRP_URL']}/api/v1/projects/by-client/dicom-web",
        headers={"Authorization": f"Bearer {environment['IRP_TOKEN']}"},
    )
    answer = client.store_instances([dcmread(DicomBytesIO(file)) for file in a_short_axis_cine(seed=4)])
    assert len(answer.ReferencedSOPSequence) == 12
    (study,) = client.search_for_studies()
    uid = study["0020000D"]["Value"][0]
    assert study["00100020"]["Value"][0] != SECRETS[1]
    (series,) = client.search_for_series(uid)
    instances = client.retrieve_series(uid, series["0020000E"]["Value"][0])
    assert len(instances) == 12
    assert {str(instance.PatientIdentityRemoved) for instance in instances} == {"YES"}
    assert all(SECRETS[0] not in str(instance) for instance in instances)
    pictures = client.retrieve_bulkdata(f"{study['00081190']['Value'][0]}/rendered", ("image/jpeg",))
    assert [picture[:2] for picture in pictures] == [b"\xff\xd8"] * 12
    assert len(client.search_for_studies(search_filters={"StudyDate": "-20991231", "ModalitiesInStudy": "MR,CT"})) == 1
    assert client.search_for_studies(search_filters={"StudyDate": "20991231-"}) == []


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/v1/projects/nowhere/series", None, 404),
        ("/api/v1/projects", "forged", 401),
        ("/nowhere", None, 404),
    ],
)
def test_a_wrong_address_or_token_is_a_problem_that_says_what_to_do(
    frontend: Frontend, path: str, token: str | None, status: int
) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = frontend.http.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["advice"]


def test_a_text_named_dcm_is_refused_and_stores_nothing(frontend: Frontend) -> None:
    frontend.create_project("wrong-input")
    answer = frontend.stow("wrong-input", [b"this is a text named .dcm"])
    assert answer.status == 409
    assert answer.count("00081198") == 1
    assert frontend.http.get("/api/v1/projects/wrong-input/dicom-web/studies").status_code in {200, 204}
    assert frontend.http.get("/api/v1/projects/wrong-input/series").json()["items"] == []


def test_a_series_with_two_orientations_is_not_assembled_and_says_why(frontend: Frontend) -> None:
    frontend.create_project("two-ways")
    answer = frontend.stow("two-ways", a_short_axis_cine(seed=5, tilt_deg=0.05))
    series = frontend.wait(
        f"/api/v1/projects/two-ways/series/{answer.series_uid}",
        lambda r: r.status_code == 200 and r.json()["state"] == "not_assembled",
    ).json()
    assert series["reason"] == "SERIES_ORIENTATION_MIXED"
