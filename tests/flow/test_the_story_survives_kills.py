"""What you learn here: the whole story ends the same although processes are killed before and within its steps.

Before each step another process gets SIGKILL; and every room stops itself once after an object, once after a commit and
once after a publication, wherever in the story that happens to be.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from irp_chassis.failpoints import AFTER_COMMIT, AFTER_OBJECT, AFTER_PUBLISH
from openirp.demo import evidence, learning, story
from openirp.demo.telling import Narrator
from openirp.house import House
from openirp.house.layout import PROCESSES, ROOMS

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("house"), pytest.mark.timeout(900)]

STEPS = (
    story.create_project,
    story.upload_images,
    story.search_for_secrets,
    story.measure_quality,
    learning.segment_live,
    learning.correct,
    learning.train,
)
ONE_EACH = ("nats", "ingest", "s3", "quality", "inference", "annotation", "training")


BRIEFLY = {"segment_epochs": 3, "min_steps": 2, "batch": 4}  # how well it learns is for others to ask
NEVER_PASSED = {("radiomics", AFTER_OBJECT)}  # it writes rows only


@pytest.fixture
def armed(tmp_path: Path) -> Path:
    """Per room a folder with its armed failpoints; the gateway's come later, see `tell`."""
    for room in ROOMS:
        (tmp_path / "armed" / room).mkdir(parents=True)
        if room != "gateway":
            arm(tmp_path / "armed" / room)
    return tmp_path / "armed"


def arm(folder: Path) -> None:
    for name in (AFTER_OBJECT, AFTER_COMMIT, AFTER_PUBLISH):
        (folder / name).touch()


@pytest.fixture
def house(tmp_path: Path, armed: Path) -> Iterator[House]:
    failpoints = {room: {"IRP_FAILPOINT_DIR": str(armed / room)} for room in ROOMS}
    house = House(tmp_path / "irp", ports="auto", room_environment=failpoints)
    house.start()
    house.wait_ready()
    yield house
    house.stop()


def kill(house: House, process: str) -> None:
    """SIGKILL, and wait until it is back; it may just be coming back from a failpoint."""
    house.wait_ready()
    house.restarted(process, house.kill(process))


def tell(house: House, victims: Sequence[str], output: Path, armed: Path) -> story.Story:
    """The story, with one process killed and restarted before each step.

    A project is created once: only then may the gateway die within a request, for revising it may be repeated.
    """
    client = house.client()
    told = story.Story(house, client, Narrator(story.STEPS), True, client.project(story.NAME))
    told.recipe |= BRIEFLY
    for step, victim in zip(STEPS, victims, strict=True):
        kill(house, victim)
        step(told)
        if step is story.create_project:
            arm(armed / "gateway")
    kill(house, "radiomics")
    evidence.radiomics(told, output)
    evidence.report(told, output)
    return told


def nothing_is_doubled(told: story.Story) -> None:
    series = told.project.series()
    assert len(series) == len(told.cases)
    assert {one["version"] for one in series} == {1}
    for case in told.cases:
        accepted = [one for one in told.project.segmentations(case.series_uid) if one["state"] == "accepted"]
        assert len(accepted) == 1 + (case.label in told.figures["radiomics"]["wall_from_model"])
    (ended,) = [run for run in told.project.runs() if run["state"] == "succeeded"]
    assert "administrator" not in ended["message"]  # one made the configuration, and need not be asked again
    run = ended["id"]
    assert told.project.run_curve(run).startswith(b"\x89PNG")
    assert {overlay["which"] for overlay in told.project.run_overlays(run)} == {"best", "median", "worst"}


def test_the_story_survives_kills_before_and_within_each_step(house: House, armed: Path, tmp_path: Path) -> None:
    told = tell(house, ONE_EACH, tmp_path, armed)
    nothing_is_doubled(told)
    left = {(file.parent.name, file.name) for file in armed.glob("*/*")}
    assert left == NEVER_PASSED, "every other room was stopped after an object, a commit and a publication"
    assert (tmp_path / "report.html").stat().st_size > 50_000


@pytest.mark.chaos
@pytest.mark.skipif(not os.environ.get("IRP_CHAOS"), reason="the full matrix is `make chaos`")
@pytest.mark.parametrize("shift", range(len(PROCESSES)))
def test_the_full_matrix(house: House, armed: Path, tmp_path: Path, shift: int) -> None:
    victims = list(itertools.islice(itertools.cycle(PROCESSES), shift, shift + len(STEPS)))
    nothing_is_doubled(tell(house, victims, tmp_path, armed))
