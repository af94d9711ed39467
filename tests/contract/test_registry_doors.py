"""What you learn here: everybody reads a model's history and checks its signature; a second person's word is a door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openirp.transport
import pytest
from openirp.client import Irp
from openirp.command.app import app
from typer.testing import CliRunner

from .conftest import TOKEN, House
from .fake_registry import BUNDLE

run = CliRunner().invoke


@pytest.fixture
def irp(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[Irp]:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    yield Irp.from_environment()
    house.training.waits = False


def test_a_promotion_that_waits_is_accepted_and_not_yet_true(house: House, irp: Irp) -> None:
    house.training.waits = True
    answer = house.person().post("/api/v1/models/cine/versions/2/promote")
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    said = run(app, ["models", "promote", "cine", "2"])
    assert said.exit_code == 0
    assert "irp models approve cine 2" in said.output
    assert "lv_myocardium" in said.output
    assert "shown only" in said.output
    house.training.waits = False
    assert house.person().post("/api/v1/models/cine/versions/2/promote").status_code == 200
    assert "is the champion" in run(app, ["models", "promote", "cine", "champion"]).output


def test_a_promotion_that_is_still_measured_is_asked_for_again(
    house: House, irp: Irp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openirp.transport, "LOOK_S", 0.0)
    house.training.measures = 1
    answer = house.person().post("/api/v1/models/cine/versions/2/promote")
    assert (answer.status_code, answer.json()["state"], answer.json()["gate"]) == (202, "measuring", {})
    assert answer.json()["progress"] == {"fraction": 1 / 3, "eta_s": 8.0, "step": "4 of 12 series are measured"}
    house.training.measures = 3
    assert irp.promote_model("cine", 2)["state"] == "promoted"
    assert house.training.measures == 0
    house.training.measures = 2
    assert [said["state"] for said in irp.watch_promotion("cine", 2)] == ["measuring", "measuring", "promoted"]
    house.training.measures = 1
    assert "is the champion" in run(app, ["models", "promote", "cine", "2"]).output


def test_an_alias_is_meant_as_it_was_when_the_promotion_was_asked_for(
    house: House, irp: Irp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openirp.transport, "LOOK_S", 0.0)
    house.training.measures = 3
    house.training.looked_up.clear()
    assert irp.promote_model("cine", "champion")["state"] == "promoted"
    assert house.training.measures == 0
    assert [name for name in house.training.looked_up if name] == ["champion"]


def test_a_second_person_says_yes_or_no_and_the_audit_log_knows(house: House, irp: Irp) -> None:
    refused = house.person().post("/api/v1/models/cine/versions/2/approve")
    assert (refused.status_code, refused.json()["reason"]) == (403, "SECOND_PERSON_NEEDED")
    assert run(app, ["models", "approve", "cine", "2", "--because", "looked"]).exit_code == 0
    assert house.training.said == "looked"
    assert run(app, ["models", "reject", "cine", "2", "--because", "apex"]).exit_code == 0
    assert run(app, ["models", "rollback", "cine", "--because", "worse"]).exit_code == 0
    assert house.training.said == "worse"
    actions = [line["action"] for line in irp.http.items("/api/v1/audit")]
    assert {"models.approve", "models.reject", "models.rollback"} <= set(actions)


def test_the_history_is_a_list_and_an_answer_to_what_served_when(house: House, irp: Irp) -> None:
    assert [one["kind"] for one in irp.model_history("cine")] == [
        "registered",
        "judged",
        "promoted",
        "serving",
        "serving",
    ]
    assert (irp.served_model("cine"), irp.served_model("cine", "2025-01-01T00:00:00Z")) == (2, None)
    page = house.person().get("/api/v1/models/cine/history", params={"limit": 1}).json()
    assert (len(page["items"]), page["items"][0]["before"], bool(page["next_cursor"])) == (1, None, True)
    said = run(app, ["models", "history", "cine", "--gate", "2"])
    assert said.exit_code == 0
    assert "lv_myocardium" in said.output
    assert "cine@2" in said.output
    document = json.loads(run(app, ["models", "history", "cine", "--json"]).stdout)
    assert (document["served"], len(document["items"]), document["items"][-1]["version"]) == (2, 5, None)
    assert (document["champion"], document["pin"], document["shadow"]) == (2, None, None)
    assert document["canary"] == {"version": 3, "percent": 12.5}
    assert "Now: cine@2, canary 3 for 12.5 % of the series." in " ".join(said.output.split())


def test_versions_may_be_said_by_name(house: House, irp: Irp) -> None:
    person = house.person()
    assert person.get("/api/v1/models/cine/versions/champion").json()["version"] == 2
    assert person.get("/api/v1/models/cine/versions/previous").status_code == 404
    assert person.get("/api/v1/models/cine/versions/best").status_code == 422
    digest = person.get("/api/v1/models/cine/versions/champion").json()["digest"]
    assert person.get(f"/api/v1/models/cine/versions/sha256:{digest}").json()["version"] == 2
    assert person.get(f"/api/v1/models/cine/versions/sha256:{'0' * 64}").status_code == 404
    assert person.get(f"/api/v1/models/cine/versions/sha256:{digest[:12]}").status_code == 422
    assert json.loads(run(app, ["models", "list", "--json"]).stdout)[0]["digest"] == digest
    assert person.get("/api/v1/models/cine/versions/champion").json()["aliases"] == ["champion"]


def test_a_bundle_is_checked_offline(house: House, irp: Irp, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("cine.zip", "other.zip", "signature.json", "key.json")}
    files["cine.zip"].write_bytes(BUNDLE)
    files["other.zip"].write_bytes(BUNDLE + b"!")
    files["signature.json"].write_text(run(app, ["models", "signature", "cine", "champion"]).stdout)
    files["key.json"].write_text(run(app, ["models", "key"]).stdout)
    assert json.loads(files["signature.json"].read_text())["statement"]["predicate"]["actor"] == "ada"
    words = ["--signature", str(files["signature.json"]), "--key", str(files["key.json"])]
    valid = run(app, ["models", "verify", str(files["cine.zip"]), *words])
    assert valid.exit_code == 0
    assert "cine@2" in valid.output
    assert run(app, ["models", "verify", str(files["other.zip"]), *words]).exit_code == 1
    files["key.json"].write_text("[]")
    assert run(app, ["models", "verify", str(files["cine.zip"]), *words]).exit_code == 2
