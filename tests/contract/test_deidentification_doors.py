"""What you learn here: uploaders get the key of their own site, and reports come back signed and page by page."""

from __future__ import annotations

import base64
from collections import Counter

import httpx
from irp_deid import Profile, SiteKey
from irp_deid.signed import public_jwk, sign, verify
from irp_deid.uploads import UPLOADER, Draft, Rules

from .conftest import House, is_problem
from .fake_reports import SECRET
from .test_dicomweb import a_file


def a_report(key: SiteKey, answer: dict[str, object], at: str = "2026-01-01T00:00:00+00:00") -> str:
    rules = Rules(
        project=str(answer["project"]),
        revision=int(str(answer["revision"])),
        configuration=str(answer["configuration"]),
        profile=Profile.from_configuration(dict(answer["deidentification"])),  # type: ignore[call-overload]
        site=key.site_name(),
    )
    return sign(Draft(rules, refused=Counter({"NOT_DICOM": len(at)})).document(UPLOADER, at=at), key.signing_key())


def test_an_uploader_gets_the_key_of_the_tokens_site_and_of_no_other(house: House, project: str) -> None:
    uploader = house.member("shared", "scanner-7", "uploader", site="north")
    answer = uploader.post(f"{project}/deidentification/key")
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert base64.b64decode(body["key"]) == SECRET.site_key("north").key
    assert body["configuration"] == uploader.get(project).json()["digest"]
    assert body["deidentification"]["before_arrival"] == "optional"
    assert body["sequences"][0]["class"] == "cine-sax"
    is_problem(uploader.post(f"{project}/deidentification/key", headers={"X-IRP-Site": "south"}), 403, "SITE_NOT_YOURS")


def test_who_only_looks_gets_no_key_and_an_issue_stands_in_the_audit_log(
    house: House, project: str, admin: httpx.Client
) -> None:
    viewer = house.member("shared", "guest-7", "viewer")
    is_problem(viewer.post(f"{project}/deidentification/key"), 403)
    admin.post(f"{project}/deidentification/key", headers={"X-IRP-Site": "north"})
    lines = admin.get("/api/v1/audit", params={"project": "shared", "limit": 1000}).json()["items"]
    issued = [line for line in lines if line["action"] == "deidentification.issue_key"]
    assert {line["status"] for line in issued} >= {200, 403}
    key = base64.b64encode(SECRET.site_key("north").key).decode()
    assert all(key not in str(line) for line in lines)
    assert any(SECRET.site_key("north").site_name() in line["target"] for line in issued)


def test_reports_are_taken_listed_and_come_back_with_their_signature(house: House, project: str) -> None:
    uploader = house.member("shared", "scanner-8", "uploader", site="north")
    key = SECRET.site_key("north")
    answer = uploader.post(f"{project}/deidentification/key").json()
    doors = f"{project}/deidentification/reports"
    jose = {"Content-Type": "application/jose"}
    taken = [uploader.post(doors, content=a_report(key, answer, "t" * n), headers=jose) for n in (1, 2, 3)]
    assert [one.status_code for one in taken] == [201, 201, 201]
    ids, cursor, pages = [], "", 0
    while cursor is not None:
        page = uploader.get(doors, params={"limit": 2, "cursor": cursor}).json()
        ids, cursor, pages = ids + [line["id"] for line in page["items"]], page["next_cursor"], pages + 1
    assert {one.json()["id"] for one in taken} <= set(ids)
    assert pages >= 2
    document = uploader.get(taken[0].headers["location"]).json()
    assert verify(document["jws"], public_jwk(key.signing_key())) == document["report"]
    assert uploader.get(f"{project}/deidentification/public-key").json() == public_jwk(bytes(32))


def test_reports_that_are_no_jws_or_too_large_are_refused(house: House, project: str, admin: httpx.Client) -> None:
    doors = f"{project}/deidentification/reports"
    is_problem(admin.post(doors, json={}), 415)
    jose = {"Content-Type": "application/jose"}
    is_problem(admin.post(doors, content="a.b.c", headers=jose), 400, "SIGNATURE_NOT_VALID")
    is_problem(admin.post(doors, content="\u00e4".encode(), headers=jose), 400, "BODY_NOT_READABLE")
    is_problem(admin.post(doors, content=bytes((4 << 20) + 1), headers=jose), 413)
    is_problem(admin.get(f"{doors}/{'0' * 32}"), 404)


def test_stow_names_its_report_and_tells_which_file_became_what(house: House, project: str) -> None:
    admin = house.person()
    files = [a_file(700), b"no image", a_file(700)]
    body = b"".join(b"--b\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files) + b"--b--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b', "X-IRP-Report": "1" * 32}
    answer = admin.post(f"{project}/dicom-web/studies", content=body, headers=headers)
    assert answer.headers["x-irp-outcomes"] == "1s 1r 1a"
    assert answer.headers["x-irp-report"] == "0" * 32
    assert answer.headers["link"].endswith(f'/deidentification/reports/{"0" * 32}>; rel="describedby"')
    assert house.ingest.uploads[-1].report == "1" * 32
    headers["X-IRP-Report"] = "../other"
    is_problem(admin.post(f"{project}/dicom-web/studies", content=body, headers=headers), 422)
