"""What you learn here: who may look into the quarantine and decide, over HTTP, by the SDK and by `irp quarantine`."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from openirp import Irp
from openirp.command.app import app
from typer.testing import CliRunner

from .conftest import House, is_problem
from .fake_quarantine import DOCUMENT, IMAGE, PNG, waiting

REGION = {"x": 0, "y": 0, "width": 640, "height": 32}


@pytest.fixture(autouse=True)
def quarantine(house: House) -> None:
    """Both instances wait."""
    house.ingest.apart.update({IMAGE: waiting(IMAGE, "image"), DOCUMENT: waiting(DOCUMENT, "document")})


@pytest.fixture
def curator(house: House) -> httpx.Client:
    return house.member("shared", "curator-1", "curator")


def test_only_curators_and_owners_see_and_decide(house: House, project: str, curator: httpx.Client) -> None:
    uploader = house.member("shared", "scanner-1", "uploader", "viewer", "annotator")
    doors = f"{project}/quarantine"
    is_problem(uploader.get(doors), 403, "PERMISSION_DENIED")
    is_problem(uploader.get(f"{doors}/{IMAGE}"), 403)
    is_problem(uploader.get(f"{doors}/{IMAGE}/preview"), 403)
    is_problem(uploader.post(f"{doors}/{IMAGE}/decision", json={"action": "release"}), 403)
    assert house.ingest.apart[IMAGE].state == "waiting"
    is_problem(curator.post(f"{project}/series/1.2.3/complete"), 403)  # deciding is all that the role may do
    assert house.person().get(doors).status_code == 200
    assert curator.get(doors).status_code == 200


def test_the_list_pages_and_asks_for_a_state(project: str, curator: httpx.Client) -> None:
    first = curator.get(f"{project}/quarantine", params={"limit": 1}).json()
    assert [item["id"] for item in first["items"]] == [IMAGE]
    second = curator.get(f"{project}/quarantine", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [(item["id"], item["kind"]) for item in second["items"]] == [(DOCUMENT, "document")]
    assert second["next_cursor"] is None
    assert curator.get(f"{project}/quarantine", params={"state": "discarded"}).json()["items"] == []
    assert len(curator.get(f"{project}/quarantine", params={"state": "all"}).json()["items"]) == 2
    is_problem(curator.get(f"{project}/quarantine", params={"state": "lost"}), 422)


def test_a_preview_is_kept_by_no_cache_and_stands_in_the_audit_log(
    house: House, project: str, curator: httpx.Client, admin: httpx.Client
) -> None:
    answer = curator.get(f"{project}/quarantine/{IMAGE}/preview", params={"frame": 3})
    assert (answer.status_code, answer.content) == (200, PNG)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "no-store"
    assert house.ingest.looked_at[-1] == (IMAGE, 3)
    document = curator.get(f"{project}/quarantine/{DOCUMENT}/preview")
    assert document.headers["content-type"] == "application/octet-stream"
    assert document.headers["content-disposition"].startswith("attachment")
    assert document.headers["content-security-policy"] == "sandbox"
    is_problem(curator.get(f"{project}/quarantine/2.25.3/preview"), 404, "QUARANTINE_UNKNOWN")
    lines = admin.get("/api/v1/audit", params={"project": "shared", "limit": 1000}).json()["items"]
    looked = [line["target"] for line in lines if line["action"] == "quarantine.preview"]
    assert f"id={IMAGE}" in looked


def test_a_decision_is_taken_told_and_final(
    house: House, project: str, curator: httpx.Client, admin: httpx.Client
) -> None:
    door = f"{project}/quarantine/{IMAGE}"
    for body in ({"action": "burn"}, {"action": "mask", "regions": [REGION | {"width": 0}]}, {"regions": []}):
        is_problem(curator.post(f"{door}/decision", json=body), 422)
    for _ in range(2):
        answer = curator.post(f"{door}/decision", json={"action": "mask", "regions": [REGION]})
        assert answer.status_code == 202, answer.text
        assert answer.json()["state"] == "masking"
        assert answer.json()["regions"] == [REGION]
        assert answer.json()["decided_by"] == "curator-1"
    assert answer.headers["location"].endswith(f"/quarantine/{IMAGE}")
    is_problem(curator.post(f"{door}/decision", json={"action": "release"}), 400, "QUARANTINE_DECIDED")
    assert curator.get(door).json()["state"] == "masked"
    lines = admin.get("/api/v1/audit", params={"project": "shared", "limit": 1000}).json()["items"]
    decided = [line["target"] for line in lines if line["action"] == "quarantine.decide" and line["status"] == 202]
    assert f"id={IMAGE} action=mask regions=1" in decided


def test_the_command_lists_shows_and_decides(
    house: House, curator: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = curator.headers["authorization"].removeprefix("Bearer ")
    for name, value in {"IRP_URL": house.url, "IRP_TOKEN": token, "IRP_PROJECT": "shared"}.items():
        monkeypatch.setenv(name, value)
    run = CliRunner()
    listed = run.invoke(app, ["quarantine", "list"])
    assert listed.exit_code == 0, listed.output
    assert "640x480x1" in listed.output
    picture = tmp_path / "preview.png"
    assert run.invoke(app, ["quarantine", "show", IMAGE, "-o", str(picture)]).exit_code == 0
    assert picture.read_bytes() == PNG
    assert picture.stat().st_mode & 0o077 == 0  # for whoever decides, and nobody else
    wrong = run.invoke(app, ["quarantine", "mask", IMAGE, "--region", "0,0,640"])
    assert wrong.exit_code == 2
    masked = run.invoke(app, ["quarantine", "mask", IMAGE, "--region", "0,0,640,32"])
    assert masked.exit_code == 0, masked.output
    assert house.ingest.apart[IMAGE].state == "masked"
    assert run.invoke(app, ["quarantine", "release", IMAGE]).exit_code == 1
    (line,) = Irp(house.url, token).project("shared").quarantine("masked")
    assert line["regions"] == [REGION]
