"""Steps 4 to 6: segment, correct, train; and the Dice before and after on patients that the run never saw."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
from irp_kernel import Mask, decode_volume

from openirp.command.console import show_run
from openirp.demo.dice import Score, scores, segment_judged, truth_of
from openirp.demo.plan import Case
from openirp.demo.story import MODEL, Story
from openirp.demo.truth import CAVITY, MYOCARDIUM, send_truth
from openirp.house.trouble import HouseTrouble
from openirp.project import NRRD, SEG
from openirp.report.pictures import AFTER, BEFORE, EXPERT, Colour, picture

LIVE_ASKS = 12
SHOWN_MS = 0.05  # stages that take less are not worth a word


def segment_live(story: Story) -> None:
    """Step 4: the proposals that came by themselves; then single slices now, each another one.

    A slice that was answered before is remembered: asked again, it would say nothing of the networks.
    """
    story.tell.wait("Proposals for whole series, by automation", lambda: _proposed(story))
    story.tell.say(f"A proposal lies ready for each of the {len(story.cases)} series.")
    case = next(case for case in story.cases if case.split == "test")
    frames, slices = story.project.one_series(case.series_uid)["shape"][:2]
    places = itertools.islice(itertools.product(range(frames), range(slices)), LIVE_ASKS)
    milliseconds, stages = [], []
    for frame, slice_ in places:
        began = time.perf_counter()
        found = story.project.segment(case.series_uid, MODEL, frames=[frame], slices=[slice_], media_type=NRRD)
        milliseconds.append((time.perf_counter() - began) * 1000)
        stages.append(found.timings_ms)
    warm = milliseconds[1:]
    story.figures["live"] = {
        "n": len(warm),
        "first_ms": milliseconds[0],
        "p50_ms": float(np.percentile(warm, 50)),
        "p95_ms": float(np.percentile(warm, 95)),
        "stages_ms": _medians(stages[1:]),
    }
    live = story.figures["live"]
    story.tell.say(
        f"One slice on request: median {live['p50_ms']:.0f} ms through HTTP, 95 % within {live['p95_ms']:.0f} ms."
    )


def _medians(stages: list[dict[str, float]]) -> dict[str, float]:
    """Median milliseconds per stage; what is cached takes no time and is left out."""
    names = [name for name in ("load", "locate", "segment", "post") if any(name in one for one in stages)]
    medians = {name: float(np.median([one.get(name, 0.0) for one in stages])) for name in names}
    return {name: ms for name, ms in medians.items() if ms >= SHOWN_MS}


def _proposed(story: Story) -> bool | None:
    for case in story.cases:
        if not any(one["state"] == "proposed" for one in story.project.segmentations(case.series_uid)):
            return None
    return True


def correct(story: Story) -> None:
    """Step 5: the expert's truth, accepted; Dice of the starting model is taken before anything is learnt."""
    with story.tell.counting() as bar:
        task = bar.add_task("  Sending expert masks", total=len(story.cases))
        for case in story.cases:
            case.segmentation = dict(send_truth(story.project, case))
            bar.advance(task)
    drawn = sum(len(case.heart.cavity) + len(case.heart.epicardium) for case in story.cases)
    masks = sum(len(case.heart.cavity_masks) for case in story.cases)
    story.tell.say(
        f"{drawn} contours and {masks} masks accepted. No epicardium at end-systole: unknown, not background."
    )
    with_contours = next(case for case in story.cases if case.heart.cavity)
    seg = story.project.export(str(with_contours.segmentation["id"]), SEG)
    story.tell.say(f"{with_contours.label} as DICOM SEG: {len(seg) / 1024:.0f} KiB.")


def train(story: Story) -> None:
    """Step 6: the last acceptance began a run; watch it, then compare on patients that it never saw."""
    run = story.tell.wait("The last acceptance reaches the training server", lambda: _begun(story))
    before = _judge(story, f"{MODEL}@{story.base}")
    began = time.monotonic()
    run = _watch(story, str(run["id"]))
    if run["state"] != "succeeded":
        raise HouseTrouble(
            f"the training run ended as {run['state']}: {run.get('reason')}", str(run.get("message", ""))
        )
    gate = run.get("gate") or {}
    result = run.get("result") or {}
    said = "promoted" if run["promoted"] else f"not promoted ({gate.get('reason', 'the gate refused')})"
    story.tell.say(f"New version {MODEL}@{result.get('version')}: {said}.")
    if run["promoted"]:
        story.tell.wait("The classification server takes it over", lambda: _serving(story, int(result["version"])))
    story.figures["training"] = _training(run, gate, said, time.monotonic() - began)
    after = _judge(story, f"{MODEL}@{result['version']}" if run["promoted"] else MODEL)
    _compare(story, before, after)


def _begun(story: Story) -> dict[str, Any] | None:
    runs = story.project.runs()
    return runs[-1] if runs else None


def _watch(story: Story, run_id: str) -> dict[str, Any]:
    run: dict[str, Any] = {}
    with story.tell.flowing() as bar:
        task = bar.add_task("  Waiting", total=1.0)
        for run in story.project.watch_run(run_id):
            show_run(bar, task, run)
    return run


def _serving(story: Story, version: int) -> bool | None:
    """True once a live answer comes from the new version."""
    case = story.cases[0]
    frame, slice_ = case.judged[0]
    body = {"model": MODEL, "frames": [frame], "slices": [slice_]}
    path = f"{story.project.path}/series/{case.series_uid}/segment"
    answer = story.project.http.send("POST", path, json=body, headers={"Accept": NRRD}, repeat=True)
    return True if answer.headers.get("X-IRP-Model") == f"{MODEL}@{version}" else None


def _training(run: dict[str, Any], gate: dict[str, Any], said: str, seconds: float) -> dict[str, Any]:
    dataset, base = run.get("dataset") or {}, run["base"]
    counts = {part: dataset.get(part) for part in ("training", "validation", "test")}
    summary = (
        f"Fine-tuned from {base['name']}@{base['version']} in {seconds:.0f} s on {counts['training']} series, "
        f"judged by the gate on {counts['validation']} and kept away from {counts['test']}. "
        f"The gate allows a structure to lose {run['recipe']['margin']:g} Dice. The new version was {said}."
    )
    return {
        "summary": summary,
        "seconds": seconds,
        "run": run["id"],
        "state": run["state"],
        "promoted": run["promoted"],
        "base": run["base"],
        "result": run["result"],
        "dataset": {"digest": dataset.get("digest"), **counts},
        "recipe": run.get("recipe"),
        "metrics": run.get("metrics", []),
        "gate": gate.get("comparisons", []),
        "gate_reason": gate.get("reason"),
        "created_at": run.get("created_at"),
    }


Judged = dict[str, tuple[list[Score], Mask, Mask]]  # label -> scores, expert's mask, model's mask


def _judge(story: Story, model: str) -> Judged:
    found: Judged = {}
    for case in (case for case in story.cases if case.split == "test"):
        truth, answer = truth_of(story.project, case), segment_judged(story.project, case, model)
        found[case.label] = (scores(truth, answer), truth, answer)
    return found


def _compare(story: Story, before: Judged, after: Judged) -> None:
    rows = [
        {"patient": label, "structure": old.structure, "images": old.images, "before": old.dice, "after": new.dice}
        for label in before
        for old, new in zip(before[label][0], after[label][0], strict=True)
    ]
    means = [_mean([row for row in rows if row["structure"] == name], name) for name in (CAVITY, MYOCARDIUM)]
    note = (
        f"Demonstration: n = {len(before)} patients. Counted over the images that the expert judged, against the "
        "expert's own contours; pixels of a patient together (3D Dice)."
    )
    story.figures["dice"] = {"note": note, "rows": rows, "means": [mean for mean in means if mean], "n": len(before)}
    for row in [*rows, *story.figures["dice"]["means"]]:
        story.tell.say(f"{row['patient']:<12} {row['structure']:<14} Dice {row['before']:.3f} -> {row['after']:.3f}")
    story.tell.say(f"n = {len(before)} patients that the run never saw: a demonstration, not a proof.")
    story.pictures["slices"] = []
    for case in (case for case in story.cases if case.split == "test"):
        story.pictures["slices"] += _pictures(story, case, before[case.label], after[case.label])


def _mean(rows: list[dict[str, Any]], structure: str) -> dict[str, Any] | None:
    if not rows:
        return None
    count = len(rows)
    mean = {when: sum(row[when] for row in rows) / count for when in ("before", "after")}
    return {"patient": "mean", "structure": structure, "images": sum(row["images"] for row in rows), **mean}


def _pictures(story: Story, case: Case, before: tuple[Any, Mask, Mask], after: tuple[Any, Mask, Mask]) -> list[Any]:
    image = decode_volume(story.project.volume(case.series_uid)).array
    truth, old, new = before[1], before[2], after[2]
    middle = sorted({slice_ for _, slice_ in case.judged})
    slice_ = middle[len(middle) // 2]
    found = []
    for frame in sorted({frame for frame, at in case.judged if at == slice_}):
        outlines = [(region, colour) for mask, colour in ((old, BEFORE), (new, AFTER), (truth, EXPERT))
                    for region in _outlined(mask, frame, slice_)]  # fmt: skip
        caption = f"{case.label}, slice {slice_}, frame {frame}"
        found.append({"src": picture(np.asarray(image[frame, slice_]), outlines), "caption": caption})
    return found


def _outlined(mask: Mask, frame: int, slice_: int) -> list[Any]:
    """Regions worth an outline: cavity, and cavity with myocardium (its outer border)."""
    names = [name for name in (CAVITY, MYOCARDIUM) if name in mask.table.names and mask.judged(name)[frame, slice_]]
    regions = [mask.of(name)[frame, slice_] for name in names]
    together = np.logical_or.reduce(regions) if regions else None
    return [regions[0], together] if len(regions) > 1 else regions


def legend() -> list[dict[str, str]]:
    """The colours of the outlines."""
    names: list[tuple[str, Colour]] = [("expert", EXPERT), ("model before", BEFORE), ("model after", AFTER)]
    return [{"name": name, "colour": f"rgb{colour}"} for name, colour in names]
