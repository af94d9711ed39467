"""What you learn here: who may delete images, what stands against it, what dicomweb-client and `irp` make of it."""

from __future__ import annotations

import io
from typing import Any

import httpx
import pytest
from dicomweb_client import DICOMwebClient
from irp.common.v1.operations_service_pb2 import Reference
from irp_kernel.errors import Unavailable
from openirp import Irp, Problem
from openirp.command.app import app
from pydicom import dcmread
from typer.testing import CliRunner

from .conftest import PROJECT, TOKEN, House, is_problem
from .test_dicomweb import a_file, a_form

STUDY, SERIES, OTHER = "1.2", "1.2.3", "1.2.4"
HELD = Reference(kind="features", id=SERIES, series_uid=SERIES, state="extracted")


def instance(series: str, number: int) -> str:
    return f"{series}.{number}"


def a_file_of(series: str, number: int) -> bytes:
    ds = dcmread(io.BytesIO(a_file(number)))
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = STUDY, series, instance(series, number)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


@pytest.fixture(scope="module")
def root(house: House, admin: httpx.Client) -> str:
    assert admin.post("/api/v1/projects", json=PROJECT | {"name": "deleting"}).status_code == 201
    house.begin_radiomics()
    return "/api/v1/projects/deleting/dicom-web"


@pytest.fixture(autouse=True)
def study(house: House, admin: httpx.Client, root: str) -> str:
    """One study of two series of two instances, which nothing refers to."""
    house.referring.references, house.referring.refuse, house.referring.asked = [], None, []
    house.ingest.files["deleting"].clear()
    every = [a_file_of(series, number) for series in (SERIES, OTHER) for number in (1, 2)]
    assert admin.post(f"{root}/studies", **a_form(*every)).status_code == 200
    return f"{root}/studies/{STUDY}"


def stored(house: House) -> list[str]:
    return sorted(house.ingest.files["deleting"])


def test_dicomweb_client_deletes_an_instance_a_series_and_a_study(house: House, root: str) -> None:
    client = DICOMwebClient(house.url + root, headers={"Authorization": f"Bearer {TOKEN}"})
    client.delete_instance(STUDY, SERIES, instance(SERIES, 1))
    assert stored(house) == [instance(SERIES, 2), instance(OTHER, 1), instance(OTHER, 2)]
    client.delete_series(STUDY, SERIES)
    assert stored(house) == [instance(OTHER, 1), instance(OTHER, 2)]
    client.delete_study(STUDY)
    assert stored(house) == []
    with pytest.raises(Exception, match="404"):
        client.delete_study(STUDY)


def test_what_still_refers_is_listed_nothing_is_deleted_and_nobody_is_held_up(
    house: House, study: str, admin: httpx.Client
) -> None:
    house.referring.references = [HELD]
    for path in (study, f"{study}/series/{SERIES}", f"{study}/series/{SERIES}/instances/{instance(SERIES, 1)}"):
        problem = is_problem(admin.delete(path), 409, "STILL_REFERRED_TO")
        assert problem["count"] == 1
        assert problem["references"] == [
            {"room": "radiomics", "kind": "features", "id": SERIES, "series_uid": SERIES, "state": "extracted"}
        ]
    assert {hold_s for _, hold_s in house.referring.asked} == {0.0}
    assert len(stored(house)) == 4
    assert admin.delete(f"{study}/series/{OTHER}").status_code == 204
    assert [(uids, hold_s > 0) for uids, hold_s in house.referring.asked[-2:]] == [((OTHER,), False), ((OTHER,), True)]


def test_a_long_list_is_cut_and_its_length_is_said(house: House, study: str, admin: httpx.Client) -> None:
    house.referring.references = [Reference(kind="rating", id=f"r-{n}", series_uid=SERIES) for n in range(150)]
    problem = is_problem(admin.delete(study), 409)
    assert (problem["count"], len(problem["references"])) == (150, 100)


def test_a_room_that_does_not_answer_stands_against_it(house: House, study: str, admin: httpx.Client) -> None:
    house.referring.refuse = Unavailable()
    assert is_problem(admin.delete(study), 503, "ROOM_AWAY")["room"] == "radiomics"
    assert len(stored(house)) == 4


def test_only_owners_delete_and_the_audit_log_keeps_refusals_too(house: House, study: str, admin: httpx.Client) -> None:
    annotator = house.member("deleting", "reader-1", "annotator", "uploader", "curator", "viewer")
    owner = house.member("deleting", "owner-1", "owner")
    is_problem(annotator.delete(study), 403, "PERMISSION_DENIED")
    house.referring.references = [HELD]
    is_problem(owner.delete(study), 409)
    house.referring.references = []
    assert owner.delete(study).status_code == 204
    is_problem(owner.delete(study), 404, "NOT_FOUND")
    lines = admin.get("/api/v1/audit", params={"project": "deleting", "limit": 1000}).json()["items"]
    told = [line for line in lines if line["action"] == "dicomweb.delete_study" and line["subject"] != "operator"]
    kept: list[Any] = [(line["subject"], line["status"]) for line in told if line["subject"] in {"reader-1", "owner-1"}]
    assert kept == [("reader-1", 403), ("owner-1", 409), ("owner-1", 204), ("owner-1", 404)]
    assert told[-2]["target"] == f"study={STUDY} deleted_instances=4 deleted_series=2"


def test_the_sdk_deletes_and_says_what_refers(house: House, root: str) -> None:
    project = Irp(house.url, TOKEN).project("deleting")
    house.referring.references = [HELD]
    with pytest.raises(Problem) as refused:
        project.delete_series(SERIES)
    assert [one["id"] for one in refused.value.body["references"]] == [SERIES]
    house.referring.references = []
    project.delete_series(SERIES)
    assert stored(house) == [instance(OTHER, 1), instance(OTHER, 2)]
    project.delete_study(STUDY)
    assert stored(house) == []


def test_the_command_asks_first_and_names_what_refers(
    house: House, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"IRP_URL": house.url, "IRP_TOKEN": TOKEN, "IRP_PROJECT": "deleting"}.items():
        monkeypatch.setenv(name, value)
    run = CliRunner()
    assert run.invoke(app, ["series", "delete", SERIES], input="n\n").exit_code == 1
    assert len(stored(house)) == 4
    house.referring.references = [HELD]
    refused = run.invoke(app, ["series", "delete", SERIES, "--yes"])
    assert refused.exit_code == 1
    assert "extracted" in refused.output
    house.referring.references = []
    done = run.invoke(app, ["series", "delete", SERIES], input="y\n")
    assert done.exit_code == 0, done.output
    assert run.invoke(app, ["study", "delete", STUDY, "--yes"]).exit_code == 0
    assert stored(house) == []
