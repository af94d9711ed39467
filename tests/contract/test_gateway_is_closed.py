"""What you learn here: who comes in, who does not, what a stranger sees, and what the audit log keeps of it."""

from __future__ import annotations

import sqlite3
from typing import Any

import httpx
import pytest

from .conftest import PROJECT, House, is_problem

EVERY = [
    ("GET", "/api/v1/projects"),
    ("POST", "/api/v1/projects"),
    ("GET", "/api/v1/projects/shared"),
    ("POST", "/api/v1/projects/shared/dicom-web/studies"),
    ("DELETE", "/api/v1/projects/shared/dicom-web/studies/1.2"),
    ("POST", "/api/v1/projects/shared/series/1.2.3/ratings"),
    ("GET", "/api/v1/projects/shared/events"),
    ("GET", "/api/v1/models"),
    ("GET", "/api/v1/audit"),
    ("POST", "/api/v1/tokens"),
    ("POST", "/api/v1/inference/token"),
]


@pytest.mark.parametrize(("method", "path"), EVERY)
@pytest.mark.parametrize("token", ["", "forged"])
def test_a_stranger_is_refused_everywhere_before_the_body_is_read(
    house: House, project: str, method: str, path: str, token: str
) -> None:
    answer = house.person(token).request(method, path, content=b"not json")
    is_problem(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == 'Bearer realm="openirp"'


def test_every_described_address_is_closed(house: House, admin: httpx.Client) -> None:
    paths: dict[str, Any] = admin.get("/openapi.json").json()["paths"]
    stranger = house.person("")
    for path, item in paths.items():
        for method in item:
            answer = stranger.request(method, path.replace("{project}", "shared").replace("{", "").replace("}", ""))
            assert answer.status_code == 401, (method, path)


def test_probes_and_pages_need_no_token(house: House) -> None:
    stranger = house.person("")
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/problems/PROJECT_UNKNOWN"):
        assert stranger.get(path).status_code == 200, path


def test_a_project_is_invisible_to_those_who_are_not_members(house: House, admin: httpx.Client, project: str) -> None:
    admin.post("/api/v1/projects", json=PROJECT | {"name": "elsewhere"})
    outsider = house.member("elsewhere", "outsider", "owner")
    missing = is_problem(outsider.get("/api/v1/projects/nowhere"), 404, "PROJECT_UNKNOWN")
    hidden = is_problem(outsider.get(project), 404, "PROJECT_UNKNOWN")
    assert {**missing, "trace_id": ""} == {**hidden, "trace_id": ""}
    assert [p["name"] for p in outsider.get("/api/v1/projects").json()["items"]] == ["elsewhere"]
    is_problem(outsider.get(f"{project}/dicom-web/studies"), 404, "PROJECT_UNKNOWN")
    is_problem(outsider.delete(f"{project}/dicom-web/studies/1.2"), 404, "PROJECT_UNKNOWN")


def test_a_nul_is_refused_wherever_it_comes(house: House, admin: httpx.Client, project: str) -> None:
    for address in ("/projects/a%00b", f"/projects/{project}/members?cursor=AA", "/audit?project=%00", "/%00"):
        found = admin.get(f"/api/v1{address}")
        assert found.status_code in {400, 404}, address
        assert found.headers["content-type"] == "application/problem+json"
    said = admin.post("/api/v1/tokens", json={"subject": "a\0b"})
    is_problem(said, 400, "BODY_NOT_READABLE")


def test_roles_decide_what_a_member_may_do(house: House, project: str) -> None:
    viewer = house.member("shared", "viewer-1", "viewer")
    assert viewer.get(f"{project}/series").status_code == 200
    for method, path, body in (
        ("POST", f"{project}/series/1.2.3/complete", None),
        ("POST", f"{project}/training/runs", {"model": "cine"}),
        ("POST", f"{project}/series/1.2.3/propose", {"model": "cine"}),
        ("PUT", f"{project}/members/viewer-1", {"roles": ["owner"]}),
        ("GET", f"{project}/tokens", None),
        ("GET", "/api/v1/audit", None),
        ("POST", "/api/v1/models/cine/rollback", None),
    ):
        body_of = is_problem(viewer.request(method, path, json=body), 403, "PERMISSION_DENIED")
        assert "role" in body_of["detail"]
    annotator = house.member("shared", "annotator-1", "annotator")
    assert annotator.post(f"{project}/series/1.2.3/propose", json={"model": "cine"}).status_code == 202
    is_problem(annotator.post(f"{project}/series/1.2.3/complete"), 403)


def test_a_token_of_one_project_opens_no_other_and_ends_when_revoked(house: House, admin: httpx.Client) -> None:
    for name in ("first-one", "second-one"):
        admin.post("/api/v1/projects", json=PROJECT | {"name": name})
        admin.put(f"/api/v1/projects/{name}/members/reader", json={"roles": ["viewer"]})
    answer = admin.post("/api/v1/projects/first-one/tokens", json={"subject": "reader", "days": 1})
    assert answer.json()["expires_at"]
    reader = house.person(answer.json()["token"])
    assert reader.get("/api/v1/whoami").json() == {
        "subject": "reader", "admin": False, "project": "first-one", "site": "",
    }  # fmt: skip
    assert reader.get("/api/v1/projects/first-one").status_code == 200
    is_problem(reader.get("/api/v1/projects/second-one"), 404, "PROJECT_UNKNOWN")
    is_problem(reader.post("/api/v1/projects", json=PROJECT | {"name": "third-one"}), 403)
    (line,) = admin.get("/api/v1/projects/first-one/tokens").json()["items"]
    assert "token" not in line
    assert admin.delete(f"/api/v1/projects/first-one/tokens/{line['id']}").status_code == 204
    is_problem(reader.get("/api/v1/projects/first-one"), 401)
    is_problem(admin.delete(f"/api/v1/projects/first-one/tokens/{line['id']}"), 404, "TOKEN_UNKNOWN")
    is_problem(admin.post("/api/v1/projects/first-one/tokens", json={"subject": "nobody"}), 404, "MEMBER_UNKNOWN")


def test_a_member_taken_out_sees_nothing_and_the_last_owner_stays(house: House, admin: httpx.Client) -> None:
    admin.post("/api/v1/projects", json=PROJECT | {"name": "leaving"})
    guest = house.member("leaving", "guest", "viewer")
    assert admin.delete("/api/v1/projects/leaving/members/guest").status_code == 204
    is_problem(guest.get("/api/v1/projects/leaving"), 404, "PROJECT_UNKNOWN")
    is_problem(admin.delete("/api/v1/projects/leaving/members/guest"), 404, "MEMBER_UNKNOWN")
    is_problem(admin.delete("/api/v1/projects/leaving/members/bootstrap-admin"), 400, "LAST_OWNER")
    is_problem(
        admin.put("/api/v1/projects/leaving/members/bootstrap-admin", json={"roles": ["viewer"]}), 400, "LAST_OWNER"
    )
    is_problem(admin.put("/api/v1/projects/leaving/members/x", json={"roles": ["king"]}), 422, "ROLE_UNKNOWN")


def test_tokens_are_kept_as_hashes_only(house: House, admin: httpx.Client) -> None:
    token = admin.post("/api/v1/tokens", json={"subject": "service"}).json()["token"]
    file = house.settings.database_url.removeprefix("sqlite+aiosqlite:///")
    with sqlite3.connect(file) as connection:
        assert not [line for line in connection.iterdump() if token in line]
    assert house.person(token).get("/api/v1/projects").json() == {"items": [], "next_cursor": None}


def test_the_audit_log_names_who_did_what_to_which_and_cannot_be_changed(house: House, project: str) -> None:
    reader = house.member("shared", "audited", "viewer")
    reader.get(f"{project}/series/1.2.3/volume")
    reader.get(f"{project}/series/1.2.3")  # no pixels, no line
    reader.post(f"{project}/series/1.2.3/complete")  # refused
    lines: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = house.person().get("/api/v1/audit", params={"project": "shared", "limit": 7, "cursor": cursor}).json()
        assert len(page["items"]) <= 7
        lines += page["items"]
        if not (cursor := page["next_cursor"]):
            break
    mine = [(line["action"], line["target"], line["status"]) for line in lines if line["subject"] == "audited"]
    assert mine == [("series.volume", "uid=1.2.3", 200), ("series.complete", "uid=1.2.3", 403)]
    assert any(line["action"] == "members.issue_for_member" and "subject=audited" in line["target"] for line in lines)
    file = house.settings.database_url.removeprefix("sqlite+aiosqlite:///")
    with sqlite3.connect(file, timeout=30) as connection:
        for statement in ("UPDATE audit SET subject = 'x'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
