"""What you learn here: an upload that is killed half-way leaves no name behind, and may simply be sent again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from openirp.house import House

from .conftest import Frontend, a_short_axis_cine, planted

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("house")]
SLICES, PHASES = 6, 8


@pytest.mark.parametrize("victim", ["ingest", "gateway", "s3"])
def test_nothing_planted_stays_and_the_same_upload_again_is_complete(
    frontend: Frontend, house: House, home: Path, victim: str
) -> None:
    project = f"killed-{victim}"
    frontend.create_project(project)
    files = a_short_axis_cine(slices=SLICES, phases=PHASES, size=192, seed=sum(victim.encode()))
    old = 0

    def cut() -> Iterator[bytes]:
        nonlocal old
        yield from files[: len(files) // 2]
        old = house.kill(victim)
        yield from files[len(files) // 2 :]

    with contextlib.suppress(httpx.TransportError):
        frontend.stow(project, cut())
    house.restarted(victim, old)
    house.wait_ready()
    assert planted(home) == []

    answer = frontend.stow(project, files)
    assert answer.status == 200
    assert answer.count("00081199") == len(files)
    state = frontend.wait(
        f"/api/v1/projects/{project}/series/{answer.series_uid}",
        lambda r: r.json().get("shape") == [PHASES, SLICES, 192, 192],
    )
    assert state.json()["state"] == "assembled"
    studies = frontend.http.get(f"/api/v1/projects/{project}/dicom-web/studies").json()
    assert studies[0]["00201208"]["Value"] == [len(files)]
    assert planted(home) == []
