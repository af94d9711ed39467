"""What you learn here: the door for NIfTI and NRRD: its form, its answers, its refusals, the SDK, and `irp import`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from openirp import Irp, Problem
from openirp.command.app import app
from typer.testing import CliRunner

from .conftest import TOKEN, House, is_problem

FILE = b"NRRD\x00 an image, read by ingest\r\n--not-a-boundary\r\n" * 4000
SAID = {"patient": "P-1", "description": "LGE sax", "sequence": "lge"}


def form(**changed: Any) -> dict[str, Any]:
    return {"data": SAID, "files": {"image": ("scan.nii.gz", FILE, "application/octet-stream")}} | changed


def test_a_file_streams_through_and_its_series_is_named(house: House, project: str, admin: httpx.Client) -> None:
    answer = admin.post(f"{project}/series", headers={"X-IRP-Site": "north"}, **form())
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert body == {
        "series_uid": "1.2.3",
        "study_uid": "1.2",
        "instances": 4,
        "already_stored": False,
        "report": "0" * 32,
    }
    assert answer.headers["location"].endswith(f"{project}/series/1.2.3")
    came = house.ingest.imports[-1]
    assert (came.site, came.data) == ("north", FILE)
    assert (came.said.patient, came.said.series_description, came.said.protocol_name) == ("P-1", "LGE sax", "lge")
    assert came.said.modality == ""
    assert admin.post(f"{project}/series", **form()).status_code == 200


def test_the_fields_may_come_behind_the_file(house: House, project: str, admin: httpx.Client) -> None:
    parts = [("image", ("a.nrrd", FILE)), ("patient", (None, b"P-2")), ("modality", (None, b"CT"))]
    assert admin.post(f"{project}/series", files=parts).status_code in {200, 201}
    came = house.ingest.imports[-1]
    assert (came.data, came.said.patient, came.said.modality) == (FILE, "P-2", "CT")


@pytest.mark.parametrize(
    ("changed", "status", "reason"),
    [
        ({"data": {}}, 400, "BODY_NOT_READABLE"),
        ({"files": [("patient", (None, b"P-1"))], "data": {}}, 400, "BODY_NOT_READABLE"),
        ({"data": SAID | {"descripton": "x"}}, 400, "BODY_NOT_READABLE"),
        ({"data": {"patient": ["P-1", "P-2"]}}, 400, "BODY_NOT_READABLE"),
        ({"data": {"patient": "x" * 1025}}, 413, "TOO_LARGE"),
        ({"files": {"image": ("a.nii", bytes((1 << 20) + 1))}}, 413, "TOO_LARGE"),
        ({"files": None, "data": None, "content": b"{}", "headers": {"Content-Type": "application/json"}}, 415, ""),
        ({"files": {"image": ("a.nii", b"no image")}}, 400, "BAD_VOLUME_FILE"),
    ],
)
def test_a_form_that_is_not_right_is_refused_in_words(
    project: str, admin: httpx.Client, changed: dict[str, Any], status: int, reason: str
) -> None:
    is_problem(admin.post(f"{project}/series", **form(**changed)), status, reason)


def test_only_uploaders_and_owners_come_in_and_a_site_is_the_tokens(house: House, project: str) -> None:
    viewer = house.member("shared", "guest-9", "viewer")
    is_problem(viewer.post(f"{project}/series", **form()), 403)
    uploader = house.member("shared", "scanner-9", "uploader", site="north")
    is_problem(uploader.post(f"{project}/series", headers={"X-IRP-Site": "south"}, **form()), 403, "SITE_NOT_YOURS")
    assert uploader.post(f"{project}/series", **form()).status_code in {200, 201}
    assert house.ingest.imports[-1].site == "north"


def test_the_audit_log_names_the_series_and_no_patient(project: str, admin: httpx.Client) -> None:
    admin.post(f"{project}/series", **form(data={"patient": "PLANTED-4711"}))
    lines = admin.get("/api/v1/audit", params={"project": "shared", "limit": 1000}).json()["items"]
    mine = [line for line in lines if line["action"] == "series.import_series"]
    assert any("series=1.2.3" in line["target"] for line in mine)
    assert "PLANTED" not in json.dumps(lines)


def test_the_sdk_and_the_command_import(house: House, tmp_path: Path) -> None:
    project = Irp(house.url, TOKEN).project("shared")
    assert project.import_image(FILE, patient="P-3", description="cine")["series_uid"] == "1.2.3"
    with pytest.raises(Problem):
        project.import_image(b"no image", patient="P-3")
    (file := tmp_path / "scan.nii.gz").write_bytes(FILE)
    words = ["import", str(file), "-p", "shared", "--json", "--patient", "P-4", "--description", "LGE sax"]
    done = CliRunner().invoke(app, words, env={"IRP_URL": house.url, "IRP_TOKEN": TOKEN})
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["series_uid"] == "1.2.3"
    said = house.ingest.imports[-1].said
    assert (said.patient, said.series_description, said.modality) == ("P-4", "LGE sax", "MR")
