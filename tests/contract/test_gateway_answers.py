"""What you learn here: what each door asks of its room and how the answer reaches people, problems included."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from irp.ingest.v1.events_pb2 import SeriesStored
from irp_gateway.adapters import events
from irp_kernel import decode_mask, decode_volume
from irp_kernel.codec import NIFTI, NRRD

from .conftest import PROJECT, House, is_problem
from .fake_heart import a_mask, a_volume

NIFTI_MAGIC = b"\x1f\x8b"  # gzip


def test_a_project_is_made_from_yaml_or_json_and_answers_location_and_digest(house: House, admin: httpx.Client) -> None:
    yaml = "name: from-yaml\nstructures: [{name: cavity, canonical: lv_blood_pool}]\n"
    answer = admin.post("/api/v1/projects", content=yaml, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{house.url}/api/v1/projects/from-yaml"
    project = admin.get(answer.headers["location"])
    assert project.json()["digest"] == answer.json()["digest"]
    assert project.json()["configuration"]["structures"][0]["name"] == "cavity"
    assert project.headers["etag"] == '"1"'
    is_problem(admin.post("/api/v1/projects", content=yaml), 409, "PROJECT_EXISTS")


def test_a_revision_is_refused_when_somebody_was_faster(admin: httpx.Client) -> None:
    document = PROJECT | {"name": "revised"}
    path = "/api/v1/projects/revised"
    admin.post("/api/v1/projects", json=document)
    same = admin.put(path, json=document, headers={"If-Match": '"1"'})
    assert (same.status_code, same.json()["revision"]) == (200, 1)
    changed = admin.put(path, json=document | {"title": "B"}, headers={"If-Match": '"1"'})
    assert (changed.json()["revision"], changed.headers["etag"]) == (2, '"2"')
    for stale in ('"1"', "nonsense", '"-1"'):
        late = admin.put(path, json=document | {"title": "C"}, headers={"If-Match": stale})
        is_problem(late, 412, "REVISION_CHANGED")
    is_problem(admin.put(path, json=document | {"name": "other"}), 422, "CONFIGURATION_NOT_VALID")


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("[", 400, "JSON or YAML"),
        ("a: &x [1]\nb: *x", 400, "aliases"),
        ("just words", 422, "document: must be a mapping"),
        ("name: Bad Name\nstructures: []", 422, "name: "),
        ("name: ok-name", 422, "structures: is missing, add it"),
        ("name: ok-name\nstructures: [{name: a, canonical: liver}]", 422, "structures.0.canonical"),
        ("name: ok-name\nstructures: [{name: a, canonical: scar}]\nautomatoin: {}", 422, "automatoin: is not a key"),
        ("!!python/object/apply:os.system [id]", 400, "JSON or YAML"),
    ],
)
def test_a_configuration_that_is_none_says_where_it_is_wrong(
    admin: httpx.Client, body: str, status: int, says: str
) -> None:
    answer = admin.post("/api/v1/projects", content=body, headers={"Content-Type": "application/yaml"})
    assert says in is_problem(answer, status)["detail"]


def test_lists_page_with_a_cursor(admin: httpx.Client, project: str) -> None:
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = admin.get("/api/v1/projects", params={"limit": 1, "cursor": cursor}).json()
        names += [p["name"] for p in page["items"]]
        cursor = page["next_cursor"]
    assert names == sorted(names)
    assert "shared" in names
    first = admin.get(f"{project}/series", params={"limit": 2}).json()
    rest = admin.get(f"{project}/series", params={"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [s["series_uid"] for s in first["items"] + rest["items"]] == ["1.2.3", "1.2.3.4", "1.2.3.5"]
    assert rest["next_cursor"] is None
    begun = admin.get(f"{project}/training/runs", params={"limit": 2}).json()
    last = admin.get(f"{project}/training/runs", params={"limit": 2, "cursor": begun["next_cursor"]}).json()
    assert ([run["state"] for run in begun["items"]], len(last["items"])) == (["running", "queued"], 1)
    assert last["next_cursor"] is None
    is_problem(admin.get(f"{project}/series", params={"cursor": "%%%"}), 400, "CURSOR_NOT_VALID")
    is_problem(admin.get(f"{project}/series", params={"limit": 0}), 422, "BODY_NOT_VALID")


def test_a_series_is_shown_with_unknown_numbers_as_null(admin: httpx.Client, project: str) -> None:
    series = admin.get(f"{project}/series/1.2.3").json()
    assert (series["state"], series["shape"], series["version"]) == ("assembled", [3, 2, 16, 16], 1)
    assert series["age_years"] is None
    assert series["field_strength_t"] is None
    is_problem(admin.get(f"{project}/series/9.9.9"), 404, "SERIES_UNKNOWN")
    done = admin.post(f"{project}/series/1.2.3/complete")
    assert (done.status_code, done.headers["location"].endswith("/series/1.2.3")) == (202, True)
    assert admin.get(f"{project}/rejections").json()["items"][0]["reason"] == "NOT_DICOM"


@pytest.mark.parametrize("kind", [NRRD, NIFTI])
def test_the_volume_comes_as_asked_and_never_as_dicom(admin: httpx.Client, project: str, kind: str) -> None:
    answer = admin.get(f"{project}/series/1.2.3/volume", headers={"Accept": kind})
    assert answer.headers["content-type"] == kind
    assert (decode_volume(answer.content).array == a_volume().array).all()
    is_problem(
        admin.get(f"{project}/series/1.2.3/volume", headers={"Accept": "application/dicom"}), 406, "NOT_ACCEPTABLE"
    )
    is_problem(admin.get(f"{project}/series/1.2.3.4/volume"), 400, "SERIES_NOT_ASSEMBLED")


def test_quality_and_ratings(admin: httpx.Client, project: str) -> None:
    report = admin.get(f"{project}/series/1.2.3/quality").json()
    assert report["slices"][1]["parameters"] == {"cnr": None, "snr": 21.0}
    assert report["provenance"]["model"]["version"] == 2
    made = admin.post(f"{project}/series/1.2.3/ratings", json={"stars": 4, "form": {"motion": 2}})
    assert (made.status_code, made.json()) == (201, {"series_uid": "1.2.3", "version": 1})
    assert admin.get(made.headers["location"]).json()["items"][0]["form"] == {"motion": 2}
    body = is_problem(admin.post(f"{project}/series/1.2.3/ratings", json={"stars": 6}), 422, "BODY_NOT_VALID")
    assert body["errors"][0]["at"] == "body/stars"
    is_problem(admin.post(f"{project}/series/1.2.3/ratings", content="stars=4"), 415, "UNSUPPORTED_MEDIA_TYPE")
    too_long = admin.post(f"{project}/series/1.2.3/ratings", json={"stars": 4, "form": {"x": "y" * (2 << 20)}})
    is_problem(too_long, 413, "TOO_LARGE")


@pytest.mark.parametrize("kind", [NRRD, NIFTI, "application/dicom", "application/json"])
def test_a_segmentation_now_comes_as_asked_with_timing_and_provenance(
    admin: httpx.Client, project: str, kind: str
) -> None:
    body = {"model": "cine@2", "slices": [0]}
    answer = admin.post(f"{project}/series/1.2.3/segment", json=body, headers={"Accept": kind})
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    stages = {part.split(";")[0] for part in answer.headers["server-timing"].split(", ")}
    assert {"locate", "segment", "convert", "total"} <= stages
    assert answer.headers["x-irp-model"] == "cine@2"
    assert json.loads(answer.headers["x-irp-provenance"])["inputs"] == {"volume": "v" * 64}
    only = a_mask().labels * np.array([1, 0], dtype=np.uint8)[None, :, None, None]
    match kind:
        case "application/x-nrrd":
            assert (decode_mask(answer.content).labels == only).all()
        case "application/x-nifti":
            assert answer.content.startswith(NIFTI_MAGIC)
            assert (decode_mask(answer.content, a_mask().table).labels == only).all()
        case "application/json":
            said = answer.json()
            assert [area["area_mm2"] for area in said["areas"]] == [pytest.approx(16 * 1.4**2)] * 3
            assert {(line["structure"], line["slice"]) for line in said["contours"]} == {("lv_blood_pool", 0)}
            assert said["annotated"] == {"lv_blood_pool": [[0, 0], [1, 0], [2, 0]]}
        case _:
            assert answer.json() == {"encoded": kind}  # annotation's work


def test_what_a_model_cannot_do_is_a_problem(admin: httpx.Client, project: str) -> None:
    def ask(**body: Any) -> httpx.Response:
        return admin.post(f"{project}/series/1.2.3/segment", json=body)

    is_problem(ask(model="liver"), 404, "MODEL_UNKNOWN")
    busy = ask(model="busy")
    is_problem(busy, 429, "RESOURCE_EXHAUSTED")
    assert busy.headers["retry-after"] == "2"
    click = {"slice": 0, "row": 1, "column": 2}
    is_problem(ask(model="cine", prompts={"clicks": [click]}), 400, "PROMPTS_NOT_TAKEN")
    is_problem(ask(model="cine", slices=[-1]), 422)
    is_problem(ask(model="cine", slices=[]), 422)
    is_problem(ask(model="cine", colour="red"), 422)
    for no_version in ("0", "newest", "sha256:ab", "a" * 64):
        is_problem(ask(model=f"cine@{no_version}"), 422, "BODY_NOT_VALID")
    for version in ("previous", f"sha256:{'a' * 64}"):
        assert ask(model=f"cine@{version}").status_code == 200
    wish = {"Accept": "image/png"}
    is_problem(admin.post(f"{project}/series/1.2.3/segment", json={"model": "cine"}, headers=wish), 406)
    proposed = admin.post(f"{project}/series/1.2.3/propose", json={"model": "cine"})
    assert (proposed.status_code, proposed.json()["job_id"]) == (202, "job-1")
    assert proposed.headers["location"].endswith("/series/1.2.3/segmentations")


def test_a_mask_is_sent_as_a_form_and_kept_as_a_version(house: House, admin: httpx.Client, project: str) -> None:
    answer = admin.post(
        f"{project}/series/1.2.3/segmentations?state=accepted",
        files={"mask": ("mask.nii.gz", b"\x00mask\r\n--not-a-boundary", "application/octet-stream")},
        data={"label_table": '{"1": {"name": "lv_blood_pool"}}', "annotated": '{"lv_blood_pool": [[0, 1]]}'},
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["digest"] == "a" * 64
    asked = house.annotation.asked[-1]
    assert (asked.media_type, asked.body, asked.state) == (NIFTI, b"\x00mask\r\n--not-a-boundary", "accepted")
    assert asked.actor == "bootstrap-admin"
    assert json.loads(asked.annotated) == {"lv_blood_pool": [[0, 1]]}
    one = admin.get(answer.headers["location"]).json()
    assert (one["id"], one["structures"][0]["voxels"]) == ("seg-1", 96)
    is_problem(admin.get(f"{project}/segmentations/none"), 404)
    reviewed = admin.post(f"{project}/segmentations/seg-1/review", json={"state": "rejected"})
    assert reviewed.json()["state"] == "rejected"
    is_problem(admin.post(f"{project}/segmentations/seg-1/review", json={"state": "loved"}), 422)
    file = admin.get(f"{project}/segmentations/seg-1/export", headers={"Accept": NRRD})
    assert (file.headers["content-type"], file.content) == (NRRD, b"mask")
    assert len(admin.get(f"{project}/series/1.2.3/segmentations").json()["items"]) == 1


@pytest.mark.parametrize(
    ("files", "data", "status", "reason"),
    [
        ({"mask": ("m.txt", b"x", "text/plain")}, {}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"other": ("m.nrrd", b"x", NRRD)}, {}, 400, "BODY_NOT_READABLE"),
        ({"mask": ("m.nrrd", b"x", NRRD)}, {"label_table": "{"}, 400, "BODY_NOT_READABLE"),
        ({"mask": ("m.nrrd", b"x", NRRD)}, {"certainty": "9"}, 400, "BODY_NOT_READABLE"),
        ({"mask": ("m.nrrd", bytes(2 << 20), NRRD)}, {}, 413, "TOO_LARGE"),
        (None, {"mask": "x"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ],
)
def test_a_form_that_is_none_is_a_problem(
    admin: httpx.Client, project: str, files: Any, data: dict[str, str], status: int, reason: str
) -> None:
    is_problem(admin.post(f"{project}/series/1.2.3/segmentations", files=files, data=data), status, reason)


def test_a_run_is_started_watched_and_cancelled(admin: httpx.Client, project: str) -> None:
    answer = admin.post(f"{project}/training/runs", json={"model": "cine", "recipe": {"epochs": 4}})
    assert answer.status_code == 202
    run = admin.get(answer.headers["location"]).json()
    assert run["progress"] == {"fraction": 0.5, "eta_s": None, "step": "epoch 2 of 4"}
    assert run["base"] == {"name": "cine", "version": 1, "digest": "d"}
    assert run["result"] is None
    assert run["dataset"] == {"digest": "e", "training": 3, "validation": 1, "test": 1}
    assert run["recipe"] == {"epochs": 4}
    path = f"{project}/training/runs/run-1"
    assert admin.get(f"{path}/metrics").json()["items"] == [{"epoch": 1, "name": "loss", "value": 0.5}]
    with admin.stream("GET", f"{path}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        states = [json.loads(line[5:])["state"] for line in stream.iter_lines() if line.startswith("data:")]
    assert states == ["running", "succeeded"]
    moved = admin.put(f"{path}/priority", json={"priority": 7}).json()
    assert (moved["priority"], moved["ahead"]) == (7, 2)
    assert (moved["spent_s"], moved["cost"], moved["currency"]) == (90.0, 0.5, "EUR")
    assert admin.put(f"{path}/priority", json={"priority": 101}).status_code == 422
    assert admin.post(f"{path}/cancel").json()["state"] == "cancelled"


def test_models_are_pushed_promoted_and_rolled_back(house: House, admin: httpx.Client) -> None:
    bundle = bytes(range(256)) * 2000
    answer = admin.post("/api/v1/models/cine/versions", content=bundle, headers={"Content-Type": "application/zip"})
    assert answer.status_code == 201
    assert house.training.pushed == bundle
    assert admin.get(answer.headers["location"]).json() == answer.json()
    is_problem(admin.get("/api/v1/models/cine/versions/9"), 404, "MODEL_UNKNOWN")
    assert admin.get("/api/v1/models").json()["items"][0]["licence"] == "CC BY-NC-SA"
    assert admin.post("/api/v1/models/cine/versions/2/promote").json()["gate"]["passed"]
    assert admin.post("/api/v1/models/cine/rollback").json()["champion"] is True
    refused = admin.post("/api/v1/models/cine/versions/3/promote")
    body = is_problem(refused, 400, "GATE_REFUSED")
    page = admin.get(body["type"])
    assert page.text.startswith(body["title"])
    assert body["advice"] in page.text
    is_problem(admin.post("/api/v1/models/cine/versions", content=bytes(2 << 20)), 413, "TOO_LARGE")


@pytest.fixture(scope="module")
def away_then_there(house: House, admin: httpx.Client, project: str) -> Iterator[None]:
    """Radiomics is down at first: the gateway says so; then it comes."""
    answer = admin.get(f"{project}/radiomics/function")
    body = is_problem(answer, 503, "ROOM_AWAY")
    assert body["room"] == "radiomics"
    assert int(answer.headers["retry-after"]) >= 1
    house.begin_radiomics()
    return


def test_features_and_heatmap_come_as_files(admin: httpx.Client, project: str, away_then_there: None) -> None:
    started = admin.post(f"{project}/radiomics/extractions", json={})
    assert started.status_code == 202
    assert admin.get(started.headers["location"]).json()["state"] == "running"
    table = admin.get(f"{project}/radiomics/features.csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    assert "shared-features.csv" in table.headers["content-disposition"]
    assert admin.get(f"{project}/radiomics/heatmap.svg").headers["content-type"] == "image/svg+xml"
    is_problem(admin.get(f"{project}/radiomics/heatmap.bmp"), 422)
    (function,) = admin.get(f"{project}/radiomics/function").json()["items"]
    assert (function["edv_ml"], function["esv_ml"], function["note"]) == (120, None, "no ES mask")


def test_clinical_values_go_to_ingest_with_their_site(house: House, admin: httpx.Client, project: str) -> None:
    table = admin.post(f"{project}/clinical/table", content="id,lvef\n1,55\n", headers={"Content-Type": "text/csv"})
    assert table.json() == {"patients": 1, "values": 2, "refused": ["row 3: PATIENT_UNKNOWN"]}
    assert (house.ingest.clinical[-1].media_type, house.ingest.clinical[-1].site) == ("text/csv", "bootstrap-admin")
    bundle = admin.post(f"{project}/clinical/fhir", content="{}", headers={"Content-Type": "application/fhir+json"})
    assert bundle.status_code == 200
    is_problem(admin.post(f"{project}/clinical/fhir", content="<x/>", headers={"Content-Type": "text/xml"}), 415)


def test_parked_facts_and_broken_objects_are_shown_for_every_room(admin: httpx.Client, away_then_there: None) -> None:
    parked = admin.get("/api/v1/parked").json()["items"]
    assert {"room": "ingest", "reason": "INVALID_ARGUMENT"}.items() <= parked[0].items()
    assert {"room": "radiomics", "reason": "UNIMPLEMENTED"}.items() <= parked[-1].items()
    assert admin.post("/api/v1/parked/replay", params={"room": "ingest"}).json() == {"ingest": 1}
    is_problem(admin.post("/api/v1/parked/replay", params={"room": "kitchen"}), 404)
    lines = [json.loads(line) for line in admin.get("/api/v1/verify").text.splitlines()]
    assert lines[0]["room"] == "gateway"
    assert int(lines[0]["checked"]) >= 1


def test_what_happens_in_a_project_is_told_to_those_who_watch(house: House, project: str) -> None:
    heard: list[str] = []
    begun, done = threading.Event(), threading.Event()

    def watch() -> None:
        with house.person().stream("GET", f"{project}/events") as stream:
            for line in stream.iter_lines():
                begun.set()
                heard.append(line)
                if line.startswith("data:"):
                    done.set()
                    return

    thread = threading.Thread(target=watch)
    thread.start()
    assert begun.wait(10)
    fact = SeriesStored()
    fact.project.id, fact.series.series_uid = "elsewhere", "9.9"
    assert house.room
    listeners = house.room.http.state.desk.listeners
    house.run(listeners.on_fact(fact))
    fact.project.id, fact.series.series_uid, fact.series.volume.sha256 = "shared", "1.2.3", "c" * 64
    fact.series.volume.bucket, fact.series.volume.key = "irp-ingest", "secret/place"
    house.run(listeners.on_fact(fact))
    assert done.wait(10)
    thread.join(10)
    assert "event: SeriesStored" in heard
    body = json.loads(next(line for line in heard if line.startswith("data:"))[5:])
    assert (body["project"], body["series"]["series_uid"]) == ("shared", "1.2.3")
    assert body["series"]["volume"] == "c" * 64
    assert "secret/place" not in str(heard)


@pytest.mark.parametrize("where", ["events", "training/runs/run-1/events"])
@pytest.mark.parametrize("how", ["tokens", "members"])
def test_a_stream_ends_with_the_token_and_with_the_membership(
    house: House, admin: httpx.Client, project: str, monkeypatch: pytest.MonkeyPatch, how: str, where: str
) -> None:
    monkeypatch.setattr(events, "BEAT_S", 0.05)
    monkeypatch.setattr(house.training, "learns_on", True)
    who = f"listens-{how}-{where[0]}"
    with house.member("shared", who, "viewer").stream("GET", f"{project}/{where}") as stream:
        lines = stream.iter_lines()
        assert next(lines) == ": listening"
        token = next(one for one in admin.get(f"{project}/tokens").json()["items"] if one["subject"] == who)
        assert admin.delete(f"{project}/{how}/{token['id'] if how == 'tokens' else who}").status_code == 204
        assert "succeeded" not in "".join(lines)  # and it ends


def test_an_address_that_is_none_is_a_problem_too(admin: httpx.Client, project: str) -> None:
    is_problem(admin.get("/api/v2/nothing"), 404, "NOT_FOUND")
    is_problem(admin.delete(f"{project}/series"), 405, "METHOD_NOT_ALLOWED")
