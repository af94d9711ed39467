"""What you learn here: runs are looked into and sent on, versions validated, reports checked offline, drift told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from irp.common.v1 import types_pb2
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import sha256_of
from irp_kernel.signed import sign
from irp_kernel.validation_report import KIND
from openirp.client import Irp
from openirp.command.app import app
from openirp.mlflow import Mlflow
from openirp.problem import Problem
from typer.testing import CliRunner

from .conftest import TOKEN, House, is_problem
from .fake_registry import SEED

RUN = "/api/v1/projects/shared/training/runs/run-1"
MODEL = "/api/v1/models/cine/versions/2"
FILES = {"report.json": b"{}", "report.html": b"<p>a report</p>", "report.pdf": b"%PDF"}


@pytest.fixture
def irp(house: House, project: str, monkeypatch: pytest.MonkeyPatch) -> Irp:
    monkeypatch.setenv("IRP_URL", house.url)
    monkeypatch.setenv("IRP_TOKEN", TOKEN)
    house.training.picture = put(house, b"a picture", "image/png")
    named = {name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in FILES.items()}
    document = {"files": named, "created_at": "2026-01-01"}
    document |= {"model": {"name": "cine", "version": 2, "digest": "d"}}
    document |= {"dataset": {"digest": "e", "project": "shared", "split": "test"}}
    house.training.files = {name: put(house, data, "text/html") for name, data in FILES.items()}
    house.training.files["signature.jws"] = put(house, sign(document, SEED, KIND).encode(), "application/jose")
    return Irp.from_environment()


def put(house: House, data: bytes, media_type: str) -> types_pb2.ObjectRef:
    ref = house.run(
        house.ingest.objects.put(
            data, project="shared", entity="e", id="i", kind="k", media_type=media_type, extension="bin"
        )
    )
    return object_ref_to_proto(ref)


def run_command(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def test_cases_are_told_with_intervals_and_as_a_table(irp: Irp, house: House) -> None:
    found = irp.project("shared").run_cases("run-1")
    assert found["intervals"]["validation"]["lv_blood_pool"]["dice"]["low"] is None
    table = house.person().get(f"{RUN}/cases.csv").text.splitlines()
    assert table[0].startswith("patient,series,split,structure,dice_before,dice,hd95_mm")
    assert table[1] == "P1,1.2.3,validation,lv_blood_pool,0.8,0.9,3.5,0.9,0"
    said = run_command("runs", "cases", "run-1", "-p", "shared")
    assert (said.exit_code, "3.5" in said.output) == (0, True)


def test_pictures_and_files_of_a_run_come_from_the_api(irp: Irp, house: House, tmp_path: Path) -> None:
    person = house.person()
    (overlay,) = person.get(f"{RUN}/overlays").json()
    picture = person.get(overlay["href"])
    assert (picture.content, picture.headers["content-type"]) == (b"a picture", "image/png")
    is_problem(person.get(f"{RUN}/overlays/2/best"), 404, "OVERLAY_UNKNOWN")
    assert person.get(f"{RUN}/overlays/2/finest").status_code == 422
    for words in (
        ("runs", "overlays", "run-1", "-p", "shared", "--out", str(tmp_path / "o")),
        ("runs", "curve", "run-1", "-p", "shared", "-o", str(tmp_path / "c.svg")),
        ("runs", "tensorboard", "run-1", "-p", "shared", "--logdir", str(tmp_path / "logs")),
    ):
        assert run_command(*words).exit_code == 0, words
    assert (tmp_path / "o" / "epoch-00002-worst.png").read_bytes() == b"a picture"
    assert (tmp_path / "c.svg").read_bytes() == b"run-1 as curve-svg"
    (events,) = (tmp_path / "logs" / "run-1").iterdir()
    assert "tfevents" in events.name
    assert run_command("runs", "curve", "run-1", "-p", "shared", "-o", "c.bmp").exit_code == 2
    looked = [line for line in irp.http.items("/api/v1/audit") if line["action"] == "training.overlay"]
    assert {line["project"] for line in looked} == {"shared"}


def test_a_validation_is_queued_watched_saved_and_checked_offline(irp: Irp, house: House, tmp_path: Path) -> None:
    answer = house.person().post(f"{MODEL}/validate", json={"project": "shared", "split": "test"})
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    assert answer.headers["location"].endswith(f"{MODEL}/validations/0123456789abcdef")
    asked = house.training.validated
    assert asked is not None
    assert (asked.project.id, asked.split, asked.actor) == ("shared", "test", "bootstrap-admin")
    assert house.person().post(f"{MODEL}/validate", json={"dataset": "e" * 64}).status_code == 422
    folder, key = tmp_path / "report", tmp_path / "key.json"
    assert run_command("models", "validate", "cine@2", "--out", str(folder)).exit_code == 0
    key.write_text(json.dumps(irp.model_keys()))
    valid = run_command("models", "verify-report", str(folder), "--key", str(key))
    assert (valid.exit_code, "Valid. cine@2" in valid.output) == (0, True)
    (folder / "report.json").write_bytes(b"{ }")
    changed = run_command("models", "verify-report", str(folder), "--key", str(key))
    assert (changed.exit_code, "report.json was changed" in changed.output) == (1, True)
    (folder / "report.json").unlink()
    assert run_command("models", "verify-report", str(folder), "--key", str(key)).exit_code == 1


def test_a_report_loads_and_runs_nothing_and_only_members_see_it(irp: Irp, house: House) -> None:
    page = house.person().get(f"{MODEL}/validations/0123456789abcdef/report.html")
    assert "sandbox" in page.headers["content-security-policy"]
    assert page.headers["content-disposition"].startswith("attachment")
    viewer = house.member("shared", "watcher", "viewer")
    assert viewer.get(f"{MODEL}/validations/0123456789abcdef").json()["state"] == "succeeded"
    is_problem(viewer.post(f"{MODEL}/validate", json={}), 403)
    irp.create_project({**PROJECT_ELSEWHERE})
    house.training.project = "watched-elsewhere"
    is_problem(viewer.get(f"{MODEL}/validations/0123456789abcdef/report.html"), 404, "PROJECT_UNKNOWN")
    house.training.project = "gone"  # a question that names no project is answered with the newest set of anybody
    is_problem(house.person().post(f"{MODEL}/validate", json={}), 404, "PROJECT_UNKNOWN")
    house.training.project = "shared"
    del house.training.files["report.pdf"]
    is_problem(viewer.get(f"{MODEL}/validations/0123456789abcdef/report.pdf"), 404, "REPORT_FILE_UNKNOWN")


PROJECT_ELSEWHERE = {
    "name": "watched-elsewhere",
    "title": "Elsewhere",
    "structures": [{"name": "lv_blood_pool", "canonical": "lv_blood_pool"}],
    "sequences": [{"class": "cine-sax", "when": {"Modality": "^MR$"}}],
}


def test_drift_is_told_by_site_and_an_alarm_is_an_exit_code(irp: Irp, house: House) -> None:
    every, site = irp.drift("cine")
    assert (every["recent"], every["reference_patients"]) == (None, 12)
    assert (site["value"], site["drifted"], site["patients"]) == ("S1", True, 40)
    assert run_command("models", "drift", "cine").exit_code == 1
    house.training.alarm = False
    assert run_command("models", "drift", "cine").exit_code == 0
    house.training.alarm = True
    is_problem(house.member("shared", "watcher", "viewer").get("/api/v1/models/cine/drift"), 403)


class Tracking:
    """As much of MLflow's REST API as its contract says: paths, members, limits, and errors by code."""

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, dict[str, Any]] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/2.0/mlflow/")
        if path == "experiments/get-by-name":
            assert request.method == "GET"
            known = self.experiments.get(request.url.params["experiment_name"])
            if known is None:
                return httpx.Response(404, json={"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none"})
            return httpx.Response(200, json={"experiment": {"experiment_id": known}})
        assert request.method == "POST"
        return httpx.Response(
            200, json=getattr(self, path.replace("/", "_").replace("-", "_"))(json.loads(request.content))
        )

    def experiments_create(self, body: dict[str, Any]) -> dict[str, Any]:
        assert set(body) == {"name"}
        self.experiments[body["name"]] = "7"
        return {"experiment_id": "7"}

    def runs_search(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["experiment_ids"] == ["7"]
        found = [key for key, run in self.runs.items() if f"'{run['name']}'" in body["filter"]]
        return {"runs": [{"info": {"run_id": key}} for key in found]} if found else {}

    def runs_create(self, body: dict[str, Any]) -> dict[str, Any]:
        assert set(body) == {"experiment_id", "run_name", "start_time", "tags"}
        self.runs["abc"] = {"name": body["run_name"], "metrics": set(), "params": {}, "tags": {}}
        return {"run": {"info": {"run_id": "abc"}}}

    def runs_log_batch(self, body: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[body["run_id"]]
        assert len(body.get("metrics", [])) <= 1000
        run["metrics"] |= {(m["key"], m["step"], m["value"], m["timestamp"]) for m in body.get("metrics", [])}
        for kind in ("params", "tags"):
            for one in body.get(kind, []):
                assert run[kind].setdefault(one["key"], one["value"]) == one["value"] or kind == "tags"
        return {}

    def runs_update(self, body: dict[str, Any]) -> dict[str, Any]:
        assert body["status"] in {"FINISHED", "FAILED", "KILLED"}
        self.runs[body["run_id"]] |= body
        return {}


def test_a_run_is_sent_to_mlflow_once_however_often_it_is_sent() -> None:
    server, at = Tracking(), "2026-01-01T00:00:00+00:00"
    metrics = [{"name": "segment_loss", "epoch": n, "value": 1 / n} for n in range(1, 1203)]
    metrics.append({"name": "x", "epoch": 1, "value": None})
    run = {"id": "run-1", "state": "succeeded", "model": "cine", "created_at": at, "finished_at": at}
    run |= {"metrics": metrics, "recipe": {"seed": 3}, "dataset": {"digest": "e"}}  # type: ignore[dict-item]
    run |= {"result": {"name": "cine", "version": 3, "digest": "d"}}  # type: ignore[dict-item]
    for _ in range(2):
        assert Mlflow("http://tracking", httpx.MockTransport(server)).send(run, "shared", "openirp") == "abc"
    (kept,) = server.runs.values()
    assert (len(kept["metrics"]), kept["params"], kept["status"]) == (1202, {"seed": "3"}, "FINISHED")
    assert kept["tags"]["openirp.model"] == "cine@3"


def test_a_run_may_be_sent_while_it_waits_and_again_when_it_has_begun() -> None:
    server, at = Tracking(), "2026-01-01T00:00:00+00:00"
    run: dict[str, Any] = {"id": "run-1", "model": "cine", "created_at": at, "metrics": []}
    for state, threads in (("queued", 0), ("running", 4)):
        told = run | {"state": state, "recipe": {"seed": 3, "threads": threads}}
        Mlflow("http://tracking", httpx.MockTransport(server)).send(told, "shared", "openirp")
    (kept,) = server.runs.values()
    assert kept["params"] == {"seed": "3"}


def test_an_mlflow_server_that_refuses_or_is_away_is_told_in_words() -> None:
    refusing = httpx.MockTransport(lambda _: httpx.Response(403, json={"error_code": "PERMISSION_DENIED"}))
    with pytest.raises(Problem, match="PERMISSION_DENIED"):
        Mlflow("http://tracking", refusing).send({"created_at": "2026-01-01", "id": "r"}, "p", "e")
    with pytest.raises(Problem, match="does not answer"):
        Mlflow("http://127.0.0.1:9").send({"created_at": "2026-01-01", "id": "r"}, "p", "e")
