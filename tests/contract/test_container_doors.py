"""What you learn here: administrators push containers, annotators let them propose, and whoever likes enters them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from openirp import Irp, Problem
from openirp.command.app import app
from typer.testing import CliRunner

from .conftest import TOKEN, House, is_problem

PATH = "/api/v1/containers/heart/versions"
DEADLINE = "2027-03-01T12:00:00Z"


@pytest.fixture
def irp(house: House, monkeypatch: pytest.MonkeyPatch) -> Irp:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    return Irp.from_environment()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "heart.tar"
    path.write_bytes(b"layers" * 100_000)  # several pieces
    return path


def test_a_container_is_pushed_watched_and_asked_for_a_mask(house: House, irp: Irp, archive: Path) -> None:
    pushed = irp.containers.push(archive, "heart", {"frames": "each"}, licence="MIT")
    assert (pushed["state"], pushed["version"]) == ("queued", 1)
    header = house.containers.header
    assert header is not None
    assert (header.name, header.sockets, header.licence) == ("heart", '{"frames": "each"}', "MIT")
    assert header.actor == "bootstrap-admin"
    assert (house.containers.pushed, house.containers.model) == (archive.read_bytes(), b"")
    weights = archive.with_name("weights.tar")
    weights.write_bytes(b"w" * 200_000)
    irp.containers.push(archive, "heart", {"frames": "each"}, model=weights)
    assert (house.containers.pushed, house.containers.model) == (archive.read_bytes(), weights.read_bytes())
    assert [said["state"] for said in irp.containers.watch("heart", 1)] == ["accepted"]
    assert irp.containers.versions("heart")[0]["report"]["checks"][0]["name"] == "runs"
    run = irp.containers.run("shared", "heart@1", "1.2.3")
    asked = house.containers.asked
    assert asked is not None
    assert (asked.name, asked.version, asked.series.series_uid, asked.volume_version) == ("heart", 1, "1.2.3", 1)
    assert asked.series.volume.sha256
    assert [said["values"] for said in irp.containers.watch_run("shared", run["id"])] == [[{"score": None}]]
    assert len(irp.containers.runs("shared")) == 1
    assert irp.containers.promote("heart", 1)["promoted_by"] == "bootstrap-admin"


def test_runs_are_read_page_by_page_to_the_last(house: House, irp: Irp) -> None:
    house.containers.runs = 5
    path = "/api/v1/projects/shared/container-runs"
    first = house.person().get(path, params={"limit": 2}).json()
    second = house.person().get(path, params={"limit": 2, "cursor": first["next_cursor"]}).json()
    last = house.person().get(path, params={"limit": 2, "cursor": second["next_cursor"]}).json()
    assert [len(page["items"]) for page in (first, second, last)] == [2, 2, 1]
    assert last["next_cursor"] is None
    is_problem(house.person().get(path, params={"cursor": "not one of ours"}), 400)
    house.containers.runs = 2_001
    assert len(irp.containers.runs("shared")) == 2_001


def test_a_form_that_is_not_whole_is_refused(house: House) -> None:
    admin = house.person()
    is_problem(admin.post(PATH, content=b"x"), 415)
    is_problem(admin.post(PATH, files={"sockets": (None, "{}")}), 400)
    is_problem(admin.post(PATH, files={"archive": ("a", b"x"), "sockets": (None, "{}")}), 400)
    is_problem(admin.post(PATH, files={"sockets": (None, "{}"), "model": ("a", b"x")}), 400)
    is_problem(admin.post(PATH, files={"archive": ("a", b"x"), "model": ("a", b"x")}), 400)
    is_problem(admin.post(PATH, files={"other": (None, "{}"), "archive": ("a", b"x")}), 400)
    is_problem(admin.post(PATH, files={"sockets": (None, "x" * (2 << 20)), "archive": ("a", b"x")}), 413)


def test_a_series_that_is_not_assembled_is_not_given_away(irp: Irp) -> None:
    with pytest.raises(Problem) as refused:
        irp.containers.run("shared", "heart", "1.2.3.4")
    assert refused.value.reason == "SERIES_NOT_ASSEMBLED"


def test_only_administrators_push_and_only_annotators_run(house: House) -> None:
    viewer = house.member("shared", "looks-on", "viewer")
    is_problem(viewer.post(PATH, files={"archive": ("a", b"x")}), 403)
    body = {"container": "heart", "series": "1.2.3"}
    is_problem(viewer.post("/api/v1/projects/shared/container-runs", json=body), 403)
    is_problem(viewer.post(f"{PATH}/1/promote"), 403)
    is_problem(viewer.post("/api/v1/challenges/spring/promote"), 403)
    told = {"name": "x-1", "project": "shared", "structures": ["scar"], "deadline": DEADLINE}
    is_problem(viewer.post("/api/v1/challenges", json=told), 403)


def test_a_team_enters_by_a_token_that_no_owner_could_have_made_for_it(house: House) -> None:
    entry, path = {"kind": "container", "name": "heart", "version": 1}, "/api/v1/challenges/spring/entries"
    owner = house.member("shared", "holds-it", "owner")
    owner.put("/api/v1/projects/shared/members/looks-on", json={"roles": ["viewer"]})
    borrowed = owner.post("/api/v1/projects/shared/tokens", json={"subject": "looks-on"}).json()["token"]
    house.challenges.entered = None
    for token in (borrowed, owner.headers["authorization"].removeprefix("Bearer ")):
        person = house.person(token)
        refused = is_problem(person.post(path, json=entry), 403, "PERMISSION_DENIED")
        assert "a token of the project shared has no role outside it" in refused["detail"]
        is_problem(person.post("/api/v1/challenges", json={"name": "x-1"}), 403)
        assert person.get("/api/v1/challenges").status_code == 200  # what every visitor may read stays
        assert person.post("/api/v1/inference/token", json={}).status_code == 201  # of the project, for its own turn
    assert house.challenges.entered is None
    # Entering needs no role: the entrant sees nothing of the project.
    own = house.person().post("/api/v1/tokens", json={"subject": "looks-on"}).json()["token"]
    answer = house.person(own).post(path, json=entry)
    assert (answer.status_code, answer.headers["location"][-8:]) == (202, "/entry-1"[-8:])
    assert house.challenges.entered is not None
    assert house.challenges.entered.team == "looks-on"


def test_a_challenge_is_held_entered_and_won(house: House, irp: Irp) -> None:
    made = irp.challenges.create("spring", "shared", ["lv_blood_pool"], DEADLINE, metrics=["dice"])
    assert made["cases"] == 3
    created = house.challenges.created
    assert created is not None
    assert (created.deadline, created.metrics) == ("2027-03-01T12:00:00+00:00", ["dice"])
    assert irp.challenges.all()[0]["open"]
    entry = irp.challenges.enter("spring", "container", "heart", 1)
    assert [said["state"] for said in irp.challenges.watch("spring", entry["id"])] == ["scored"]
    board = irp.challenges.leaderboard("spring")
    known, unknown = board["places"][0]["figures"]
    assert known["interval"] == [0.85, 0.93]
    assert (unknown["mean"], unknown["interval"]) == (None, None)
    won = irp.challenges.promote("spring")
    assert (won["kind"], won["gate"], won["state"]) == ("container", {}, "promoted")
    for wrong in ({"deadline": "2027-03-01T12:00:00"}, {"metrics": ["accuracy"]}, {"name": "Spring"}, {"x": 1}):
        told = {"name": "spring", "project": "shared", "structures": ["scar"], "deadline": DEADLINE} | wrong
        assert house.person().post("/api/v1/challenges", json=told).status_code == 422


def test_the_commands_say_how_it_ended_with_their_exit_code(house: House, irp: Irp, archive: Path) -> None:
    run = CliRunner().invoke
    sockets = archive.with_name("sockets.json")
    sockets.write_text("[]")
    push = ["containers", "push", str(archive), "--sockets", str(sockets)]
    assert run(app, push).exit_code == 2
    sockets.write_text(json.dumps({"labels": {}}))
    assert run(app, push).exit_code == 0  # only queued
    accepted = run(app, [*push, "--wait"])
    assert (accepted.exit_code, "exit code 0" in accepted.output) == (0, True)
    assert "lv_blood_pool" in run(app, ["containers", "list"]).output
    assert run(app, ["containers", "show", "heart"]).exit_code == 2
    assert "accepted" in run(app, ["containers", "show", "heart@1", "--json"]).output
    assert "heart is heart@1" in run(app, ["containers", "promote", "heart@1"]).output
    go = ["containers", "run", "heart", "1.2.3", "-p", "shared", "--wait"]
    assert run(app, go).exit_code == 0
    house.containers.state, house.containers.run_state = "refused", "failed"
    assert run(app, [*push, "--wait"]).exit_code == 1
    failed = run(app, go)
    assert (failed.exit_code, "no heart" in failed.output) == (1, True)
    create = ["challenges", "create", "spring", "-p", "shared", "-s", "lv_blood_pool", "--deadline", DEADLINE]
    assert run(app, create).exit_code == 0
    assert "spring" in run(app, ["challenges", "list"]).output
    assert run(app, ["challenges", "enter", "spring", "container", "heart@1", "--wait"]).exit_code == 0
    board = run(app, ["challenges", "leaderboard", "spring"]).output
    assert re.search(r"0\.900 \(0\.850 to.* - ", " ".join(board.split()))
    assert "Final." in board
    assert run(app, ["challenges", "promote", "spring"]).exit_code == 0
    house.challenges.entry_state = "failed"
    assert run(app, ["challenges", "enter", "spring", "container", "heart@1", "--wait"]).exit_code == 1
