"""What you learn here: how the SDK speaks to a gateway, what it repeats, and what it makes of refusals."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import openirp.transport
import pytest
from openirp import Irp, Problem, upload
from openirp.command.app import app
from openirp.documents import read_document, template
from openirp.report.charts import before_after, line_chart
from openirp.report.page import finite, page
from openirp.segmentation import server_timing
from openirp.upload import batches, read_files
from typer.testing import CliRunner

Handler = Callable[[httpx.Request], httpx.Response]
DICOM_FILE = bytes(128) + b"DICM" + b"rest"


def gateway(handler: Handler) -> Irp:
    return Irp("http://gateway", "token", httpx.MockTransport(handler))


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openirp.transport, "PAUSE_S", 0.0)


def stored(*series: str) -> dict[str, object]:
    urls = [f"http://gateway/dicom-web/studies/1/series/{uid}/instances/3" for uid in series]
    return {"00081199": {"vr": "SQ", "Value": [{"00081190": {"vr": "UR", "Value": [url]}} for url in urls]}}


def test_several_files_travel_in_one_request_and_others_stay_at_home() -> None:
    bodies: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.read())
        assert request.headers["authorization"] == "Bearer token"
        if request.url.path.endswith("/series/2.25.1/complete"):
            return httpx.Response(202, json={})
        assert request.headers["x-irp-more"] == "true"
        return httpx.Response(200, json=stored("2.25.1", "2.25.1"))

    report = upload(gateway(answer).project("p"), [DICOM_FILE, b"a text file named .dcm", DICOM_FILE])
    assert (report.stored, report.skipped, dict(report.series)) == (2, 1, {"2.25.1": 2})
    assert bodies[0].count(b"Content-Type: application/dicom\r\n\r\n") == 2
    assert len(bodies) == 2, "the series is said to be complete once everything was sent"


def test_refused_instances_are_counted_by_reason_even_when_all_are_refused() -> None:
    failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0xC000]}}]}}
    report = upload(gateway(lambda _: httpx.Response(409, json=failed)).project("p"), [DICOM_FILE])
    assert dict(report.refused) == {"it cannot be understood": 1}


def test_uploads_are_bounded_in_number_and_bytes() -> None:
    assert [len(batch) for batch in batches([b"x"] * 70)] == [32, 32, 6]
    assert [len(batch) for batch in batches([bytes(9 << 20)] * 3)] == [1, 1, 1]


def test_an_archive_is_read_without_being_unpacked(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a/1.dcm", DICOM_FILE)
    (tmp_path / "scan.zip").write_bytes(packed.getvalue())
    assert list(read_files(tmp_path / "scan.zip")) == [DICOM_FILE]


def test_a_restarting_gateway_is_waited_for() -> None:
    answers = [httpx.Response(503), httpx.Response(200, json={"items": [{"name": "a"}]})]
    assert gateway(lambda _: answers.pop(0)).projects() == [{"name": "a"}]


def test_a_gateway_that_answered_before_is_waited_for_longer_than_a_strange_address() -> None:
    heard: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request.url.path)
        if len(heard) in {1, 16}:
            return httpx.Response(200, json={"items": []})
        raise httpx.ConnectError("restarting")

    client = gateway(answer)
    assert client.projects() == client.projects() == []
    calls: list[str] = []

    def silent(request: httpx.Request) -> httpx.Response:
        calls.append(request.url.path)
        raise httpx.ConnectError("nobody")

    with pytest.raises(Problem):
        gateway(silent).projects()
    assert len(calls) == openirp.transport.STRANGER + 1


def test_a_run_is_not_started_twice_when_the_first_answer_is_lost() -> None:
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        raise httpx.ReadTimeout("lost")

    with pytest.raises(Problem):
        gateway(answer).project("p").start_run("cine")
    assert calls == ["POST"]


def test_a_watched_run_ends_with_its_last_state_and_a_broken_line_is_taken_up_again() -> None:
    first = 'event: run\ndata: {"state": "running"}\n\n'
    last = ': still here\n\nevent: run\ndata: {"state": "succeeded"}\n\n'
    lines = [first, last]
    client = gateway(lambda _: httpx.Response(200, text=lines.pop(0)))
    states = [run["state"] for run in client.project("p").watch_run("r")]
    assert states == ["running", "succeeded"]


def test_watching_a_run_outlasts_a_room_that_restarts() -> None:
    done = httpx.Response(200, text='event: run\ndata: {"state": "succeeded"}\n\n')
    answers = [*(httpx.Response(503) for _ in range(12)), done]
    client = gateway(lambda _: answers.pop(0))
    assert [run["state"] for run in client.project("p").watch_run("r")] == ["succeeded"]


def test_watching_a_run_that_is_not_there_is_refused_at_once() -> None:
    calls: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(404, json={"reason": "RUN_UNKNOWN"})

    with pytest.raises(Problem):
        list(gateway(answer).project("p").watch_run("r"))
    assert calls == ["GET"]


def test_a_problem_keeps_what_the_gateway_said() -> None:
    body = {"title": "No such model", "detail": "nope@3", "reason": "MODEL_UNKNOWN", "advice": "See /api/v1/models"}
    client = gateway(lambda _: httpx.Response(404, json=body))
    with pytest.raises(Problem) as caught:
        client.project("p").segment("2.25.1", "nope@3")
    assert (caught.value.reason, caught.value.advice) == ("MODEL_UNKNOWN", "See /api/v1/models")


def test_server_timing_is_read() -> None:
    assert server_timing('locate;dur=3.5, segment;desc="net 2";dur=9') == {"locate": 3.5, "segment": 9.0}


def test_where_nothing_answers_the_command_says_so_and_ends_with_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IRP_URL", "http://127.0.0.1:1")
    run = CliRunner().invoke(app, ["project", "list"])
    assert run.exit_code == 3


def test_the_page_is_one_file_and_its_figures_are_json() -> None:
    figures = {"title": "T <script>", "summary": "", "tiles": [], "provenance": [], "created_at": "", "x": float("nan")}
    text = page(finite(figures), {})
    assert "T &lt;script&gt;" in text
    assert "http" not in text.replace("http-equiv", "")
    assert json.loads(json.dumps(finite(figures), allow_nan=False))["x"] is None


def test_on_and_no_are_words_in_a_configuration() -> None:
    assert read_document("{on: accepted, answer: no, sure: true}") == {"on": "accepted", "answer": "no", "sure": True}
    assert template("myocarditis")["automation"]["extract"] == {"on": "accepted"}


def test_charts_leave_out_what_is_not_known() -> None:
    assert line_chart({"a": [(0, float("nan"))]}, x_label="x", y_label="y") == ""
    assert "NaN" not in line_chart({"a": [(0, 1.0), (1, float("nan")), (2, 3.0)]}, x_label="x", y_label="y").upper()
    assert "+0.050" in before_after([("p", 0.8, 0.85)])
