"""What you learn here: the whole story ends the same although a process is killed before each of its steps."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from openirp.demo import evidence, learning, story
from openirp.demo.telling import Narrator
from openirp.house import House
from openirp.house.layout import PROCESSES

CINE = Path(__file__).parents[2] / "models" / "cine.zip"

pytestmark = [
    pytest.mark.flow,
    pytest.mark.xdist_group("house"),
    pytest.mark.timeout(900),
    pytest.mark.skipif(not CINE.is_file(), reason="the story needs models/cine.zip: make it with `make models`"),
]

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


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "irp", ports="auto")
    house.start()
    house.wait_ready()
    yield house
    house.stop()


def tell(house: House, victims: Sequence[str], output: Path) -> story.Story:
    """The story, with one process killed and restarted before each step."""
    client = house.client()
    told = story.Story(house, client, Narrator(story.STEPS), True, client.project(story.NAME))
    for step, victim in zip(STEPS, victims, strict=True):
        house.restarted(victim, house.kill(victim))
        step(told)
    house.restarted("radiomics", house.kill("radiomics"))
    evidence.radiomics(told, output)
    evidence.report(told, output)
    return told


def nothing_is_doubled(told: story.Story) -> None:
    series = told.project.series()
    assert len(series) == len(told.cases)
    assert {one["version"] for one in series} == {1}
    for case in told.cases:
        accepted = [one for one in told.project.segmentations(case.series_uid) if one["state"] == "accepted"]
        assert len(accepted) == 1
    assert sum(run["state"] == "succeeded" for run in told.project.runs()) == 1


def test_the_story_survives_a_kill_before_each_step(house: House, tmp_path: Path) -> None:
    told = tell(house, ONE_EACH, tmp_path)
    nothing_is_doubled(told)
    assert (tmp_path / "report.html").stat().st_size > 50_000


@pytest.mark.chaos
@pytest.mark.skipif(not os.environ.get("IRP_CHAOS"), reason="the full matrix is `make chaos`")
@pytest.mark.parametrize("shift", range(len(PROCESSES)))
def test_the_full_matrix(house: House, tmp_path: Path, shift: int) -> None:
    victims = list(itertools.islice(itertools.cycle(PROCESSES), shift, shift + len(STEPS)))
    nothing_is_doubled(tell(house, victims, tmp_path))
