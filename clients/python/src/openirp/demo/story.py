"""The story, step by step. Each step is a few calls of the SDK; what it learns goes into `figures` and `pictures`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openirp.client import Irp
from openirp.demo.hearts import DICOM_PATIENTS, PNG_PATIENTS, examples_folder
from openirp.demo.plan import SHORT, Case, all_secrets, cast
from openirp.demo.planting import search
from openirp.demo.telling import Narrator
from openirp.documents import template
from openirp.house.house import House
from openirp.house.trouble import HouseTrouble
from openirp.project import Project
from openirp.upload import UploadReport, upload

STEPS = 8
MODEL = "cine"
NAME = "sunnybrook-demo"
# One patient judges the wall: between two runs it varies by about 0.01.
GATE = {"IRP_TRAINING_MARGIN": "0.02"}


@dataclass(slots=True)
class Story:
    """Everything that the steps hand on.

    Attributes:
        house: where it plays.
        client: the gateway.
        tell: how it is told.
        short: the small form, for CI.
        project: set by the first step.
        recipe: keys of the training run's recipe that differ from the defaults.
        cases: the patients, set by the second step.
        base: version of the model that the story begins with.
        figures: for report.json.
        pictures: data URIs for the page.
    """

    house: House
    client: Irp
    tell: Narrator
    short: bool
    project: Project
    recipe: dict[str, float] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)
    base: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, Any] = field(default_factory=dict)

    def by_uid(self, uid: str) -> Case:
        """The patient of a series."""
        return next(case for case in self.cases if case.series_uid == uid)


def configuration(masks: int, recipe: dict[str, float]) -> dict[str, Any]:
    """The template, with automation for this story: learn when the last expert mask is accepted."""
    document = template("myocarditis")
    automation: dict[str, Any] = {"segment": {"cine-sax": MODEL}, "extract": {"on": "accepted"}}
    automation["train"] = {"after_masks": masks, "base": MODEL, "model": MODEL, "recipe": recipe}
    return {**document, "name": NAME, "title": "Sunnybrook cine, a demonstration", "automation": automation}


def create_project(story: Story) -> None:
    """Step 1."""
    story.cases = []
    folder = examples_folder()
    with story.tell.counting() as bar:
        task = bar.add_task(
            "  Reading hearts, planting names", total=len(SHORT if story.short else (*DICOM_PATIENTS, *PNG_PATIENTS))
        )
        for case in cast(folder, short=story.short):
            story.cases.append(case)
            bar.advance(task)
    story.project = story.client.create_project(configuration(len(story.cases), story.recipe))
    champion = next((m for m in story.client.models(MODEL) if m["champion"]), None)
    if champion is None:
        raise HouseTrouble(f"the registry has no model {MODEL}", "the demo needs models/cine.zip (see `make models`)")
    story.base = int(champion["version"])
    story.tell.say(f"Project {NAME}: {len(story.cases)} patients of the CC0 Sunnybrook Cardiac Data.")
    story.tell.say(f"It begins with the model {MODEL}@{story.base}, trained at another hospital on another scanner.")


def upload_images(story: Story) -> None:
    """Step 2: STOW-RS, then the split in a new revision of the configuration."""
    report = UploadReport()
    with story.tell.counting() as bar:
        total = sum(len(case.heart.files) for case in story.cases)
        task = bar.add_task("  Uploading (STOW-RS)", total=total)
        for case in story.cases:
            one = upload(story.project, case.heart.files, lambda n, _: bar.advance(task, n))
            if len(one.series) != 1 or one.refused:
                raise HouseTrouble(f"{case.label} was not stored as one series", f"refused: {dict(one.refused)}")
            case.series_uid = next(iter(one.series))
            report.sent_bytes += one.sent_bytes
            report.series += one.series
            story.project.complete(case.series_uid)
    story.tell.say(f"{report.stored} images, {report.sent_bytes / 1e6:.0f} MB, in {len(report.series)} series.")
    story.tell.wait("Assembling series into volumes", lambda: _assembled(story))
    _split(story)
    for case in story.cases:
        case.heart.files = []


def _assembled(story: Story) -> bool | None:
    states = {one["series_uid"]: one for one in story.project.series()}
    for case in story.cases:
        state = states.get(case.series_uid, {})
        if state.get("state") == "not_assembled":
            raise HouseTrouble(f"{case.label} was not assembled: {state['reason']}", str(state["message"]))
        if state.get("state") != "assembled":
            return None
        case.patient, case.shape = state["patient"], tuple(state["shape"])
        case.sequence_class = state["sequence_class"]
    return True


def _split(story: Story) -> None:
    """Pseudonyms are known now: say who may be learnt from, before anything is learnt."""
    document = story.project.configuration()
    splits = {part: [c.patient for c in story.cases if c.split == part] for part in ("training", "validation", "test")}
    revision = story.project.configure({**document, "splits": splits})["revision"]
    story.tell.say(
        f"Split fixed in revision {revision} of the configuration: {len(splits['training'])} patients to learn from, "
        f"{len(splits['validation'])} for the gate, {len(splits['test'])} that no run may see."
    )


def search_for_secrets(story: Story) -> None:
    """Look for every planted name, date and number in all that the house keeps."""
    secrets = all_secrets(story.cases)
    result = search(story.house.layout.home, secrets)
    story.figures["deidentification"] = {
        "planted": len(secrets),
        "found": len(result.found),
        "files": result.files,
        "bytes": result.bytes,
        "profile": "Basic Application Confidentiality Profile with 113105, 113107, 113111 (PS3.15 Annex E)",
    }
    story.tell.say(
        f"Looked for {len(secrets)} planted names, dates and numbers in {result.files} files "
        f"({result.bytes / 1e6:.0f} MB): {len(result.found)} found."
    )
    if result.found:
        places = ", ".join(sorted({path for _, path in result.found})[:5])
        raise HouseTrouble("planted identities were found in what the house keeps", places)


def measure_quality(story: Story) -> None:
    """Step 3: the reports appear without being asked for."""
    reports = story.tell.wait("Measuring image quality", lambda: _reports(story))
    story.figures["quality"] = []
    for case in story.cases:
        report = reports[case.series_uid]
        story.figures["quality"].append({"label": case.label, **report})
        p = report["parameters"]
        numbers = "  ".join(
            f"{name} {p[name]:.2f}" for name in ("snr", "cnr", "homogeneity", "artefact") if p.get(name)
        )
        story.tell.say(f"{case.label:<12} {report['verdict']:<9} {numbers}")


def _reports(story: Story) -> dict[str, Any] | None:
    from openirp.problem import Problem

    found = {}
    for case in story.cases:
        try:
            found[case.series_uid] = story.project.quality(case.series_uid)
        except Problem as problem:
            if problem.status not in (400, 404, 503):
                raise
            return None
    return found


def open_house(home: Path) -> House:
    """A fresh house for the demo, on the usual ports, or on free ones where those are taken."""
    import shutil

    for mode in ("fixed", "auto"):
        house = House(home, ports=mode, room_environment={"training": GATE})
        house.stop()
        shutil.rmtree(home, ignore_errors=True)
        try:
            house.start()
        except HouseTrouble:
            if mode == "auto":
                raise
        else:
            return house
        time.sleep(0.1)
    raise AssertionError  # the second mode returns or raises
