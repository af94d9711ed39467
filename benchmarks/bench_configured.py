"""Net 2 as designed, configured by its training cases, and in three dimensions, with as many processor seconds each.

Every way learns from the same patients and is judged on those held out (scripts/cohorts.py), in the windows that a
perfect stage 1 would give, for stage 1 is the same in all of them. The number of passes follows from what one costs, so
that every schedule ends. One seed: an indication, not a ranking. Needs the collections of models/README.md:

    python benchmarks/bench_configured.py --data FOLDER --collection cine --minutes 12

JSON goes to out/bench/configured-COLLECTION.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import torch
from irp_bundle import Pipeline, TorchEngine, interval_over_patients, read_bundle, windows_of_truth
from irp_kernel.mask import VALUE_OF
from irp_training.domain.judging.scores import score_case
from irp_training.domain.learning.lesson import Lesson
from irp_training.domain.learning.plan import CaseFile, Outcome, Plan, Said
from irp_training.domain.recipes.reading import read_recipe
from learners import Diary, Heart, note, options, patients_of

STRUCTURES = {"cine": ["lv_blood_pool", "lv_myocardium", "rv_blood_pool"], "lge": ["lv_blood_pool", "lv_myocardium"]}
WAYS: dict[str, dict[str, Any]] = {
    "fixed, 2D": {},
    "configured, 2D": {"configure": "fingerprint"},
    "configured, 3D": {"dimensions": 3},
}
TRIED_ON = 3  # patients on which a pass is timed


def learn(files: Sequence[CaseFile], recipe: dict[str, Any]) -> tuple[Outcome, float]:
    """Outcome, and processor seconds of the last pass of net 2."""
    moments = [time.process_time()]

    def say(said: Said) -> None:
        if said.metrics:
            moments.append(time.process_time())

    plan = Plan(
        model="bench",
        recipe=read_recipe(json.dumps(recipe), fine_tuning=False, structures=VALUE_OF),
        base=b"",
        base_name="",
        dataset_digest="",
        run="",
        created_at="",
    )
    outcome = Lesson(plan, say)(files, None)
    return outcome, moments[-1] - moments[-2]


def one_way(key: str, everyone: Sequence[Heart], shared: dict[str, Any], budget_s: float) -> dict[str, Any]:
    """Dice by structure and held-out patient, with what was chosen."""
    files = [heart.file() for heart in everyone if heart.part == "training"]
    recipe = shared | WAYS[key]
    _, trial_s = learn(files[:TRIED_ON], recipe | {"segment_epochs": 1})
    passes = max(1, round(budget_s / (trial_s * len(files) / TRIED_ON)))
    note(f"    {passes} passes")
    began = time.process_time()
    outcome, _ = learn(files, recipe | {"segment_epochs": passes})
    bundle = read_bundle(outcome.bundle)
    pipeline, scores = Pipeline(bundle, TorchEngine(bundle)), {}
    seconds = time.process_time() - began
    for heart in everyone:
        if heart.part != "training":
            located = windows_of_truth(heart.mask, margin=bundle.spec.locate.margin)
            scores[heart.name] = score_case(pipeline, heart.volume, heart.mask, located)
    network = {name: bundle.config["network_def"][name] for name in ("channels", "strides")}
    chosen = bundle.metadata.get("configured", {}).get("chosen", {})
    return {"dice": scores, "passes": passes, "processor_s": round(seconds, 1), "network": network, "chosen": chosen}


def summary(runs: dict[str, dict[str, Any]], structures: Sequence[str]) -> dict[str, dict[str, str]]:
    """Mean Dice with its interval over patients, by way and structure."""
    found: dict[str, dict[str, str]] = {}
    for key, run in runs.items():
        for name in structures:
            values = {patient: [dice[name]] for patient, dice in run["dice"].items() if name in dice}
            at = interval_over_patients(values)
            found.setdefault(key, {})[name] = f"{at.mean:.3f} ({at.low:.3f} to {at.high:.3f}, n = {at.patients})"
    return found


def main() -> None:
    """Measure what is not measured yet."""
    asked = options(__doc__).parse_args()
    torch.set_num_threads(1)
    everyone = patients_of(asked)
    if not everyone:
        return
    structures = STRUCTURES[asked.collection]
    shared: dict[str, Any] = {
        "structures": structures,
        "threads": 1,
        "locate_epochs": 1,
        "locate_channels": [4, 8],
        "min_steps": 1,
        "segment_channels": [4, 8] if asked.quick else [8, 16, 32, 64, 128],
        "checkpoint_epochs": 1000,
    }
    budget_s = 2.0 if asked.quick else 60 * asked.minutes / len(WAYS)
    if asked.quick:
        everyone = [h for h in everyone if h.part == "training"][:4] + [h for h in everyone if h.part != "training"][:2]
    diary = Diary(f"configured-{asked.collection}", {"recipe": shared, "budget_s": budget_s}, 4 * asked.minutes)
    diary.go_through(list(WAYS), lambda key: one_way(key, everyone, shared, budget_s))
    table = summary(diary.runs, structures)
    diary.keep(summary=table)
    print(json.dumps(table, indent=2))


if __name__ == "__main__":
    main()
