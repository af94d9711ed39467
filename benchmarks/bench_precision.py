"""The shipped models in int8 and bfloat16 beside float32: the guard's word, Dice on patients it never saw, and speed.

The guard judges on the patients that are `validation` (scripts/cohorts.py), as it does in a house; those of `test` are
looked at afterwards, with what it accepted. Needs the collections of models/README.md and the extra `int8` of training:

    python benchmarks/bench_precision.py --data FOLDER [--only lge] [--precisions int8,bfloat16]

Speed is that of the main network, in pairs of passes one after the other. JSON goes to out/bench/precision.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from bench_house import keep
from irp_bundle import Pipeline, read_bundle
from irp_bundle.openvino_engine import OpenVinoEngine, graphs_of, processor
from irp_bundle.reduced import read_reduced
from irp_kernel import Mask, Volume
from irp_training.domain.judging.precision import compare
from irp_training.domain.judging.scores import score_case
from irp_training.domain.reducing.trial import PrecisionTrial, TrialPlan
from learners import COLLECTIONS, ROOT, Heart, hearts

PAIRS = 25

Held = tuple[str, Volume, Mask]


def judged(data: bytes, precision: Any, held: list[Held]) -> tuple[dict[str, Any], bytes | None]:
    """What the guard says, and the networks that it accepted."""

    def files() -> Any:
        for name, volume, mask in held:
            yield Heart(name, "validation", volume, mask).file()

    began = time.perf_counter()
    plan = TrialPlan(bundle=data, precision=precision, dataset="validation")
    outcome = PrecisionTrial(plan, lambda said: print(f"  {said.progress.step}", file=sys.stderr))(files())
    said = {"accepted": outcome.accepted, "message": outcome.message, "seconds": round(time.perf_counter() - began, 1)}
    return said | json.loads(outcome.report), outcome.artefact


def pairs(plain: OpenVinoEngine, reduced: OpenVinoEngine, inputs: Any) -> dict[str, float]:
    """Milliseconds of a pass (medians), and the quartiles of the ratio float32 / reduced over alternating pairs."""
    times = []
    for _ in range(PAIRS + 3):
        pair = []
        for engine in (plain, reduced):
            began = time.perf_counter()
            engine("segment", inputs)
            pair.append(1000 * (time.perf_counter() - began))
        times.append(pair)
    found = np.array(times[3:])
    low, middle, high = np.percentile(found[:, 0] / found[:, 1], [25, 50, 75])
    medians = np.median(found, axis=0)
    return {"float32_ms": medians[0], "reduced_ms": medians[1], "ratio": middle, "ratio_q1": low, "ratio_q3": high}


def looked_at(data: bytes, precision: Any, artefact: bytes | None, held: list[Held]) -> dict[str, Any]:
    """Dice on patients whom the guard did not see, and speed."""
    bundle = read_bundle(data)
    graphs = graphs_of(bundle)
    own = dict(graphs)
    for stage, (graph, weights) in read_reduced(artefact, bundle.digest).graphs.items() if artefact else ():
        own[stage] = ov.Core().read_model(graph, ov.Tensor(np.frombuffer(weights, np.uint8)))
    engines = OpenVinoEngine(graphs), OpenVinoEngine(own, precision)
    before, after = (
        {name: score_case(Pipeline(bundle, engine), volume, mask) for name, volume, mask in held} for engine in engines
    )
    verdict = compare(after, before, dataset="test", structures=bundle.structures)
    inputs = np.random.default_rng(0).normal(size=(8, *bundle.input_shape("segment"))).astype(np.float32)
    speed = {rows: pairs(*engines, inputs[:rows]) for rows in (1, 8)}
    return {"test": [vars_of(one) for one in verdict.comparisons], "speed": speed}


def vars_of(one: Any) -> dict[str, Any]:
    names = ("structure", "cases", "champion", "candidate", "difference", "worst")
    return {name: getattr(one, name) for name in names}


def show(name: str, precision: str, said: dict[str, Any]) -> None:
    """A table in words."""
    print(f"{name} in {precision}: {'accepted' if said['accepted'] else 'refused'} ({said['message']})")
    for tried in said["tried"]:
        for row in tried["structures"]:
            print(
                f"  validation  {tried['recipe']:36} {row['structure']:14} n={row['cases']:2} {row['float32']:.4f}"
                f"  mean {row['difference']:+.4f}  worst {row['worst']:+.4f}"
            )
    for row in said.get("test", []):
        print(
            f"  test        {'':36} {row['structure']:14} n={row['cases']:2} {row['champion']:.4f}"
            f"  mean {row['difference']:+.4f}  worst {row['worst']:+.4f}"
        )
    for rows, found in said.get("speed", {}).items():
        print(
            f"  {rows} at once: {found['float32_ms']:.1f} ms -> {found['reduced_ms']:.1f} ms, "
            f"{found['ratio']:.2f}x ({found['ratio_q1']:.2f} to {found['ratio_q3']:.2f})"
        )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("IRP_DATA", "data")), help="holds the folders")
    parser.add_argument("--only", choices=sorted(COLLECTIONS))
    parser.add_argument("--precisions", default="int8,bfloat16")
    asked = parser.parse_args()
    if not asked.data.is_dir():
        print(f"{asked.data} is not there: nothing is measured; see models/README.md", file=sys.stderr)
        return
    found: dict[str, Any] = {"machine": processor()}
    for name, (_, folder) in COLLECTIONS.items():
        if asked.only not in (None, name) or not (asked.data / folder).is_dir():
            continue
        data = (ROOT / "models" / f"{name}.zip").read_bytes()
        held = {"validation": list[Held](), "test": list[Held]()}
        for one in hearts(name, asked.data):
            if one.part in held:
                held[one.part].append((one.name, one.volume, one.mask))
        for precision in asked.precisions.split(","):
            said, artefact = judged(data, precision, held["validation"])
            if said["accepted"]:
                said |= looked_at(data, precision, artefact, held["test"])
            found[f"{name} {precision}"] = said
            show(name, precision, said)
    keep("precision", found)


if __name__ == "__main__":
    main()
