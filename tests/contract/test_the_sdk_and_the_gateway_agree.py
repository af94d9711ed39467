"""What you learn here: the SDK behind the `irp` command and the gateway say the same words."""

from __future__ import annotations

import pytest
from irp_chassis.auth import OIP_AUDIENCE, TokenVerifier
from irp_kernel import decode_mask, decode_volume
from irp_kernel.errors import Unauthenticated
from openirp import Irp, Problem

from .conftest import PROJECT, TOKEN, House
from .fake_heart import a_mask
from .test_dicomweb import a_file


def test_the_whole_story_by_sdk(house: House) -> None:
    irp = Irp(house.url, TOKEN)
    project = irp.create_project(PROJECT | {"name": "by-sdk"})
    assert "by-sdk" in {p["name"] for p in irp.projects()}
    assert project.configuration()["name"] == "by-sdk"
    assert project.configure(PROJECT | {"name": "by-sdk", "title": "B"})["revision"] == 2
    assert len(project.stow([a_file(0), a_file(1)])["00081199"]["Value"]) == 2
    assert project.one_series("1.2.3")["state"] == "assembled"
    assert {s["series_uid"] for s in project.series()} >= {"1.2.3"}
    project.complete("1.2.3")
    assert project.quality("1.2.3")["verdict"] == "good"
    assert project.rate("1.2.3", 4, {"motion": 2})["version"] == 1
    assert project.volume("1.2.3").startswith(b"NRRD")
    found = project.segment("1.2.3", "cine", slices=[0])
    assert (decode_mask(found.content).labels[:, 0] == a_mask().labels[:, 0]).all()
    assert found.timings_ms["segment"] == 9.0
    assert (found.model, found.warnings) == ("cine@2", ())
    told = project.segment("1.2.3", "cine", options={"uncertainty": True}, answer="uncertainty")
    assert decode_volume(told.content).array.max() == 40
    assert told.warnings == ("low-confidence",)
    assert project.propose("1.2.3", "cine")["job_id"] == "job-1"
    assert project.proposal("1.2.3:1:cine@2")["state"] == "running"
    assert [said["done"] for said in project.watch_proposal("1.2.3:1:cine@2")] == [2, 3]
    made = project.put_mask("1.2.3", found.content, state="accepted", annotated={"lv_blood_pool": {"slices": [0]}})
    assert project.review(made["id"], "accepted")["state"] == "accepted"
    assert project.export(made["id"]) == b"mask"
    assert len(project.segmentations("1.2.3")) == 1
    run = project.start_run("cine", base="cine@1", key="once")
    assert [r["state"] for r in project.watch_run(run["id"])] == ["running", "succeeded"]
    assert project.prioritise_run(run["id"], -3)["priority"] == -3
    assert project.cancel_run(run["id"])["state"] == "cancelled"
    assert project.push_clinical(b"id,lvef\n", "text/csv")["patients"] == 1
    assert irp.push_model(b"zip", "cine")["version"] == 2
    assert irp.models("cine")[0]["champion"]
    assert {f["room"] for f in irp.parked()} >= {"ingest"}
    assert irp.replay_parked(room="ingest") == {"ingest": 1}
    assert any(line["room"] == "gateway" for line in irp.verify())


def test_a_token_for_tensors_opens_no_room(house: House) -> None:
    answer = Irp(house.url, TOKEN).inference_token(hours=2)
    key = house.settings.auth_public_key_file
    assert key is not None
    assert "admin" in TokenVerifier.from_file(key, [OIP_AUDIENCE]).verify(answer["token"]).roles
    with pytest.raises(Unauthenticated):
        TokenVerifier.from_file(key).verify(answer["token"])
    with pytest.raises(Problem) as refused:
        Irp(house.url, TOKEN).inference_token("by-nobody")
    assert refused.value.reason == "PROJECT_UNKNOWN"


def test_a_problem_reaches_python_with_its_advice(house: House) -> None:
    with pytest.raises(Problem) as refused:
        Irp(house.url, TOKEN).project("by-nobody").describe()
    assert (refused.value.status, refused.value.reason) == (404, "PROJECT_UNKNOWN")
    assert refused.value.advice
    assert refused.value.trace_id
