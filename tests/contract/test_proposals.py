"""What you learn here: a proposal of a whole series says how far it is, when asked and by itself."""

from __future__ import annotations

import json

import httpx

from .conftest import House, is_problem


def test_a_proposal_says_how_far_it_is(house: House, admin: httpx.Client, project: str) -> None:
    found = admin.get(f"{project}/proposals/1.2.3:1:cine@2")
    assert found.status_code == 200, found.text
    assert {**found.json(), "done": 1} == {
        "job_id": "1.2.3:1:cine@2",
        "state": "running",
        "reason": "",
        "series_uid": "1.2.3",
        "model": "cine@2",
        "done": 1,
        "total": 3,
        "eta_s": 2.0,
    }
    is_problem(admin.get(f"{project}/proposals/nobody"), 404)
    is_problem(admin.get(f"{project}/proposals/nobody/events"), 404)
    is_problem(house.person("").get(f"{project}/proposals/1.2.3:1:cine@2"), 401)


def test_a_watched_proposal_tells_each_step_until_it_is_done(admin: httpx.Client, project: str) -> None:
    answer = admin.get(f"{project}/proposals/1.2.3:1:cine@2/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    said = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [one["state"] for one in said][-1] == "done"
    assert answer.text.count("event: proposal") == len(said)
