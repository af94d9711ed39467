"""What you learn here: `irp upload` against a gateway: killed half-way it goes on; --local keeps originals at home."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from irp_deid.signed import sign
from openirp import Irp
from openirp.command.app import app
from openirp.uploader.plan import make_plan
from openirp.uploader.send import Sender, orders_of
from openirp.uploader.sources import find
from openirp.uploader.state import UploadState
from typer.testing import CliRunner

from .conftest import PROJECT, TOKEN, House
from .fake_reports import SECRET
from .test_dicomweb import a_file

FILES = 40  # more than one request takes


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number:03}").write_bytes(a_file(number))
    (folder / "notes.txt").write_text("no image")
    return folder


def a_project(house: House, name: str, **deidentification: Any) -> Any:
    return Irp(house.url, TOKEN).create_project(PROJECT | {"name": name, "deidentification": deidentification})


def environment(house: House, tmp_path: Path) -> dict[str, str]:
    return {"IRP_URL": house.url, "IRP_TOKEN": TOKEN, "IRP_STATE_DIR": str(tmp_path / "state")}


def irp(house: House, tmp_path: Path, *words: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, list(words), env=environment(house, tmp_path))
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_upload_goes_on_sends_only_the_rest_and_leaves_no_process(
    house: House, scans: Path, tmp_path: Path
) -> None:
    project = a_project(house, "killed-client")
    ingest = house.ingest
    ingest.held_after = FILES
    command = ["upload", str(scans), "-p", project.name, "--local", "--streams", "1", "--workers", "1", "--json"]
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("irp")), *command],
        env=os.environ | environment(house, tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        house.run(ingest.held.wait())  # the first request is answered, the second one is not
        children = children_of(process.pid)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        ingest.held_after = -1
        house.loop.call_soon_threadsafe(ingest.go.set)
    assert children, "somebody de-identified"
    until = time.monotonic() + 10
    while any(_alive(child) for child in children):
        assert time.monotonic() < until, "workers outlive a parent that was killed"
        os.sched_yield()
    before = len(ingest.uploads)
    answer = irp(house, tmp_path, *command)
    assert len(ingest.uploads) == before + 1, "one request for the rest"
    (series,) = answer["series"]
    assert (answer["stored"], series["stored"], series["already"]) == (FILES, 32, FILES - 32)
    assert answer["left"] == {"not DICOM": 1}
    assert not list((tmp_path / "state" / "uploads").iterdir()), "a finished upload leaves no state"


def test_an_interrupted_upload_says_how_to_go_on(house: House, scans: Path, tmp_path: Path) -> None:
    project, ingest = a_project(house, "interrupted-client"), house.ingest
    ingest.held.clear()
    ingest.go.clear()
    ingest.held_after = FILES
    command = ["upload", str(scans), "-p", project.name, "--streams", "1", "--json"]
    process = subprocess.Popen(
        # whoever runs the tests in the background may have taught them to ignore Ctrl-C
        ["env", "--default-signal=INT", str(Path(sys.executable).with_name("irp")), *command],
        env=os.environ | environment(house, tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        house.run(ingest.held.wait())
        process.send_signal(signal.SIGINT)
    finally:
        ingest.held_after = -1
        house.loop.call_soon_threadsafe(ingest.go.set)
        words = process.communicate(timeout=30)[1]
    assert (process.returncode, "The same command goes on" in words) == (130, True)
    assert irp(house, tmp_path, *command)["stored"] == FILES


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_is_deidentified_here_arrives_without_the_patient_and_with_a_report(
    house: House, scans: Path, tmp_path: Path
) -> None:
    project = a_project(house, "demanding", before_arrival="required")
    answer = irp(house, tmp_path, "upload", str(scans), "-p", project.name, "--workers", "1", "--json")
    arrived = [ds for ds, _ in house.ingest.files["demanding"].values()]
    site = SECRET.site_key(project.http.json("GET", "/api/v1/whoami")["subject"]).site_name()
    assert len(arrived) == FILES
    assert {str(ds.PatientIdentityRemoved) for ds in arrived} == {"YES"}
    assert {one["series_uid"] for one in answer["series"]} == {str(ds.SeriesInstanceUID) for ds in arrived}
    lines = [line for line in project.reports() if line["site"] == site]
    assert sum(line["instances"] for line in lines) >= FILES
    assert {upload.report for upload in house.ingest.uploads[-2:]} <= {line["id"] for line in lines}


def test_a_project_that_is_revised_while_an_upload_runs_is_followed(house: House, scans: Path, tmp_path: Path) -> None:
    project = a_project(house, "revised-meanwhile")
    state = UploadState(tmp_path / "state", house.url, project.name, scans)
    send = Sender(project, state, orders_of(project))
    options = {"options": ["113105"]}
    project.configure(PROJECT | {"name": "revised-meanwhile", "deidentification": options})
    assert send(make_plan(find(scans / "001"))).stored == 1
    (line,) = project.reports()
    assert (line["revision"], project.report(line["id"])["report"]["profile"]["options"]) == (2, ["113105"])


def test_a_dry_run_sends_nothing_and_tells_what_would_change(house: House, scans: Path, tmp_path: Path) -> None:
    project = a_project(house, "dry")
    before = len(house.ingest.uploads)
    answer = irp(house, tmp_path, "upload", str(scans), "-p", project.name, "--dry-run", "--json")
    assert (answer["files"], answer["left"], len(house.ingest.uploads)) == (FILES, {"not DICOM": 1}, before)
    assert {change["action"] for change in answer["changes"]} >= {"replaced", "kept"}


def test_originals_are_sent_where_the_project_does_not_mind_and_refusals_have_their_reason(
    house: House, scans: Path, tmp_path: Path
) -> None:
    project = a_project(house, "easy")
    (scans / "broken").write_bytes(bytes(128) + b"DICM")
    for command in ([], ["--restart"]):
        answer = irp(house, tmp_path, "upload", str(scans), "-p", project.name, "--json", *command, code=1)
        assert (answer["stored"], answer["refused"]) == (FILES, {"IDENTIFIERS_MISSING": 1})
    (scans / "broken").unlink()
    shown = irp(house, tmp_path, "upload", str(scans), "-p", project.name)
    assert f"{FILES} of {FILES} files stored" in shown.replace("\n", "")


def test_reports_are_listed_shown_and_verified_without_a_network(house: House, scans: Path, tmp_path: Path) -> None:
    project = a_project(house, "reported")
    irp(house, tmp_path, "upload", str(scans / "001"), "-p", project.name, "--local", "--workers", "1", "--json")
    line = list(project.reports())[-1]
    shown = irp(house, tmp_path, "report", "show", line["id"], "-p", project.name)
    key, file = tmp_path / "key.json", tmp_path / "report.json"
    key.write_text(json.dumps(irp(house, tmp_path, "report", "key", "-p", project.name)))

    def verified(document: dict[str, Any]) -> tuple[int, str]:
        file.write_text(json.dumps(document))
        done = CliRunner().invoke(app, ["report", "verify", str(file), "--key", str(key)], env={"IRP_URL": "nowhere"})
        return done.exit_code, done.stderr

    assert verified(shown)[0] == 1, "an uploader signs with the site's key, not with the installation's"
    code, words = verified({"jws": sign(shown["report"], bytes(32))})
    assert code == 0
    assert "1 instances" in " ".join(words.split()), words
    assert verified({})[0] == 1
