"""What a trial of a reduced precision tells, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from irp_training.domain.judging.gate import Verdict
from irp_training.domain.judging.precision import MARGIN, Reduced, accepts


def report(
    precision: Reduced,
    tried: Sequence[tuple[str, Verdict]],
    *,
    dataset: str,
    speedup: Mapping[str, float],
    calibration_inputs: int,
    machine: Mapping[str, Any],
) -> str:
    """Canonical JSON.

    Args:
        precision: that was tried.
        tried: recipe by recipe.
        dataset: digest of the dataset whose validation split judged.
        speedup: inputs at once -> seconds of a pass in float32 over those at this precision.
        calibration_inputs: that the networks were calibrated with.
        machine: the processor, and what it has instructions for.
    """
    document = {
        "precision": precision,
        "margin": MARGIN,
        "dataset": dataset,
        "tried": [{"recipe": name, "accepted": accepts(one), "structures": _rows(one)} for name, one in tried],
        "speedup": dict(speedup),
        "calibration_inputs": calibration_inputs,
        **machine,
        **software(),
    }
    return json.dumps(document, sort_keys=True)


def in_words(verdict: Verdict) -> str:
    """Why it was accepted, or not."""
    worst = verdict.worst
    if accepts(verdict):
        return "no structure loses more than it may"
    if worst is None:
        return "no validation case judges any structure"
    return f"{worst.structure} loses {-worst.difference:.4f} Dice on average, allowed are {MARGIN}"


def software() -> dict[str, str]:
    """What reduces networks."""
    try:
        return {"nncf": version("nncf")}
    except PackageNotFoundError:
        return {}


def _rows(verdict: Verdict) -> list[dict[str, Any]]:
    return [
        {
            "structure": one.structure,
            "cases": one.cases,
            "float32": round(one.champion, 5),
            "reduced": round(one.candidate, 5),
            "difference": round(one.difference, 5),
            "worst": round(one.worst, 5),
            "passed": one.passed,
        }
        for one in verdict.comparisons
    ]
