"""What you learn here: a client that hangs up ends what a room computes for it, and stands in the audit log as gone."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlsplit

import httpx

from .conftest import TOKEN, House
from .fake_inference import Inference


def hang_up_once_it_is_computed(house: House, path: str, body: dict[str, object]) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    client = http.client.HTTPConnection(urlsplit(house.url).netloc, timeout=10)
    client.request("POST", path, json.dumps(body), headers)
    assert Inference.begun.wait(10)
    client.close()


def test_a_reader_who_moves_on_ends_the_computing_of_what_they_left(
    house: House, admin: httpx.Client, project: str
) -> None:
    hang_up_once_it_is_computed(house, f"{project}/series/1.2.3.499/segment", {"model": "endless"})
    assert Inference.cancelled.wait(10)
    assert status_in_the_audit_log(admin, "uid=1.2.3.499") == 499


def status_in_the_audit_log(admin: httpx.Client, target: str) -> int:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        lines = admin.get("/api/v1/audit", params={"project": "shared", "limit": 1000}).json()["items"]
        found = [line["status"] for line in lines if line["target"] == target]
        if found:
            return int(found[0])
    raise AssertionError("no such line")
