"""What is found of a version: what the sandbox saw of its bundle, and how good it is beside the champion.

The benchmark is the mean Dice of the whole pipeline over the cases of a frozen validation set, on slices that an expert
judged; cases in which neither the expert nor the model sees the structure are left out, beside the champion those of
either model (the gate counts what is made up: `gate.py`). It says whether the version can have learnt from these
patients, as far as anybody knows; beside the champion it stands on those only that neither of the two, nor what it came
from, is known to have learnt from.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Any, Literal

from irp_training.domain.datasets.dataset import Case
from irp_training.domain.judging.gate import Scores
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow, ModelRef, Progress

State = Literal["queued", "running", "ended", "failed"]
FINAL: frozenset[str] = frozenset({"ended", "failed"})
UNMEASURED = "there is no frozen validation set for this model: name a project to judge it on"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appraisal:
    """The report on one version; `version` counts its changes.

    Attributes:
        inspection: what the sandbox saw, as JSON; empty while it was not asked.
        dataset: whose validation split judges; None = there is none.
        attempt: counts from 1; one that failed, or another dataset, is a new attempt.
        benchmark: see `benchmark`, as JSON; empty = not measured.
        reason: of a failure, from the error tree.
    """

    model: ModelRef
    actor: str
    created_at: str
    inspection: str = ""
    dataset: DatasetRow | None = None
    attempt: int = 1
    state: State = "queued"
    progress: Progress = field(default_factory=Progress)
    benchmark: str = ""
    reason: str = ""
    message: str = ""
    finished_at: str = ""
    version: int = 1

    @property
    def ended(self) -> bool:
        """True in a final state."""
        return self.state in FINAL

    def asks_the_same(self, other: Appraisal) -> bool:
        """True if the other's end is this one's too."""
        mine, theirs = (one.dataset.digest if one.dataset else "" for one in (self, other))
        return other.state != "failed" and (mine == theirs or not mine)


def benchmark(
    model: Model,
    champion: Model | None,
    dataset: DatasetRow,
    cases: Sequence[Case],
    scores: Scores,
    rival: Scores,
    *,
    seen: int,
    whole: bool,
    left_out: int = 0,
) -> str:
    """The benchmark as canonical JSON.

    Args:
        model: that was judged.
        champion: of its name; None = there is none, or it is the model itself.
        dataset: whose validation split the cases are.
        cases: that were judged.
        scores: Dice per case and structure.
        rival: the champion's, on the cases that are compared.
        seen: cases among these that it is known to have learnt from, itself or what it came from.
        whole: everything that it learnt from is known.
        left_out: cases that are not compared: it, or the champion, has learnt from them.
    """
    document = {
        "dataset": dataset.digest,
        "cases": len(cases),
        "patients": len({case.patient for case in cases}),
        "champion": str(champion.ref) if champion else "",
        "learnt_from_them": _learnt(model, dataset, seen, whole),
        "left_out": left_out,
        "structures": [_row(name, scores, rival) for name in model.structures],
    }
    return json.dumps(document, sort_keys=True)


def _learnt(model: Model, dataset: DatasetRow, seen: int, whole: bool) -> str:
    if seen:
        return f"yes: from {seen} of these cases"
    if not whole:
        return "not known: it, or what it came from, was not trained here"
    chosen = model.run is not None and model.dataset_digest == dataset.digest
    return "no" + ("; its best pass may have been chosen on them" if chosen else "")


def _row(name: str, scores: Scores, rival: Scores) -> dict[str, Any]:
    mine = {case: value for case, of in scores.items() if not isnan(value := of.get(name, float("nan")))}
    pairs = [
        (value, other)
        for case, value in mine.items()
        if not isnan(other := rival.get(case, {}).get(name, float("nan")))
    ]
    return {
        "structure": name,
        "cases": len(mine),
        "dice": _mean(list(mine.values())),
        "least": round(min(mine.values()), 5) if mine else None,
        "champion": _mean([other for _, other in pairs]),
        "difference": _mean([value - other for value, other in pairs]),
    }


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 5) if values else None
