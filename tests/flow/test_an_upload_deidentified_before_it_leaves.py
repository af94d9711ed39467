"""What you learn here: half of a series de-identified by its uploader, half on arrival: one series, signed reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from irp_deid.signed import verify
from openirp.command.app import app
from openirp.house import House
from typer.testing import CliRunner

from .conftest import Frontend, a_short_axis_cine, planted

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("house")]
SLICES, PHASES = 3, 4


def test_both_ways_lead_to_the_same_series(frontend: Frontend, house: House, home: Path, tmp_path: Path) -> None:
    frontend.create_project("both-ways")
    client = house.client().project("both-ways")
    files = a_short_axis_cine(slices=SLICES, phases=PHASES, seed=77)
    half = len(files) // 2
    here, there = tmp_path / "here", tmp_path / "there"
    for folder, some in ((here, files[:half]), (there, files)):
        folder.mkdir()
        for number, file in enumerate(some):
            (folder / str(number)).write_bytes(file)

    first = upload(house, tmp_path, here, "--local", "--workers", "1")
    second = upload(house, tmp_path, there, "--no-local")

    (series,) = second["series"]
    assert (first["series"][0]["series_uid"], first["stored"]) == (series["series_uid"], half)
    assert (series["stored"], series["already"]) == (len(files) - half, half), "known again, whoever de-identified"
    state = frontend.wait(
        f"/api/v1/projects/both-ways/series/{series['series_uid']}",
        lambda r: r.json().get("shape") == [PHASES, SLICES, 64, 64],
    )
    assert state.json()["sequence_class"] == "cine-sax"
    assert planted(home) == []

    reports = {line["id"]: client.report(line["id"]) for line in client.reports()}
    by_ingest = [one for one in reports.values() if one["report"]["by"] == "ingest"]
    assert all(verify(one["jws"], client.report_key()) == one["report"] for one in by_ingest)
    (declared,) = {one["report"]["declared"] for one in by_ingest} - {""}
    assert reports[declared]["report"]["by"] == "uploader"


def upload(house: House, tmp_path: Path, source: Path, *options: str) -> dict[str, Any]:
    environment = house.exports() | {"IRP_STATE_DIR": str(tmp_path / "state")}
    done = CliRunner().invoke(app, ["upload", str(source), "-p", "both-ways", "--json", *options], env=environment)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
