"""The whole two-stage pipeline, case by case, on what an expert judged: Dice, and how far borders lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from irp_bundle import (
    Located,
    Pipeline,
    dice_per_structure,
    dice_where_judged,
    distances_per_structure,
    interval_over_patients,
)
from irp_kernel import LabelTable, Mask, Volume

from irp_training.domain.judging.clicked import answer_to_clicks
from irp_training.domain.samples.examples import channels
from irp_training.domain.samples.nested import INSIDE

Measures = dict[str, dict[str, float]]  # structure -> "dice", "hd95_mm", "assd_mm", "unmatched"
MEASURES = ("dice", "hd95_mm", "assd_mm")
DIGITS = 5


def score_case(pipeline: Pipeline, volume: Volume, truth: Mask, located: Located | None = None) -> dict[str, float]:
    """Dice per structure of the model, over the frames and slices on which it was judged.

    Scar and no-reflow count as myocardium where the model has no channel of their own; structures never judged, or
    absent from truth and answer alike, are left out. A model that takes marks answers to one click per slice.
    `located`: what stage 1 says of the volume, if it is known.
    """
    answer = answer_case(pipeline, volume, truth, located)
    return dice_per_structure(*answer, pipeline.bundle.structures) if answer else {}


def judge_case(pipeline: Pipeline, volume: Volume, truth: Mask, located: Located | None = None) -> dict[str, float]:
    """As `score_case`, for the gate: a structure that was judged and is in truth and answer alike absent is NaN."""
    answer = answer_case(pipeline, volume, truth, located)
    return dice_where_judged(*answer, pipeline.bundle.structures) if answer else {}


def measure_case(pipeline: Pipeline, volume: Volume, truth: Mask) -> Measures:
    """Dice as `score_case` has it, and the distances of borders in mm; see `irp_bundle.distances_per_structure`."""
    answer = answer_case(pipeline, volume, truth)
    return compare_masks(*answer) if answer else {}


def answer_case(
    pipeline: Pipeline, volume: Volume, truth: Mask, located: Located | None = None
) -> tuple[Mask, Mask] | None:
    """(the model's mask, the truth in the model's structures); None where nothing was judged that it could answer.

    The model's mask tells apart what the truth does: see `as_far_as_judged`.
    """
    structures = pipeline.bundle.structures
    known = as_model_sees(truth, structures)
    frames = judged_frames(known)
    if not frames:
        return None
    if pipeline.bundle.spec.prompts is None:
        found, _ = pipeline.run(volume, frames=frames, located=located)
        return as_far_as_judged(found, known), known
    if not known.labels.any():
        return None
    return as_far_as_judged(answer_to_clicks(pipeline, volume, known), known), known


def compare_masks(found: Mask, known: Mask) -> Measures:
    """Every measure per structure of `known`; one without a value is left out."""
    measures: Measures = {name: {"dice": value} for name, value in dice_per_structure(found, known).items()}
    for name, distances in distances_per_structure(found, known).items():
        measures.setdefault(name, {}).update({key: float(value) for key, value in asdict(distances).items()})
    return measures


def without_dice(measures: Mapping[str, float]) -> dict[str, float]:
    """Distances of borders only: Dice has a place of its own in a run's cases."""
    return {name: value for name, value in measures.items() if name != "dice"}


def intervals(cases: Iterable[tuple[str, Mapping[str, Mapping[str, float]]]]) -> dict[str, dict[str, Any]]:
    """Means of all cases with 95 % intervals over patients.

    Args:
        cases: (patient, measures by structure).

    Returns:
        {structure: {measure: {"mean", "low", "high", "patients", "cases"}}}; low and high are None for one patient.
    """
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for patient, structures in cases:
        for structure, measures in structures.items():
            for name in MEASURES:
                if name in measures:
                    by_patient = found.setdefault(structure, {}).setdefault(name, {})
                    by_patient.setdefault(patient, []).append(measures[name])
    return {
        structure: {name: interval_json(by_patient) for name, by_patient in measures.items()}
        for structure, measures in found.items()
    }


def interval_json(by_patient: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """An interval as documents have it: JSON knows no NaN."""
    found = interval_over_patients(by_patient)
    ends = {
        key: None if np.isnan(value) else round(value, DIGITS)
        for key, value in (("mean", found.mean), ("low", found.low), ("high", found.high))
    }
    return {**ends, "patients": found.patients, "cases": found.cases}


def judged_frames(known: Mask) -> list[int]:
    """Frames on which somebody judged a structure."""
    return [int(frame) for frame in np.flatnonzero(known.annotated.any(axis=(1, 2)))]


def as_model_sees(truth: Mask, structures: tuple[str, ...]) -> Mask:
    """The truth in a model's own structures."""
    labels, judged = channels(truth, structures)
    table = LabelTable.canonical(structures)
    values = np.array([0, *table.values], dtype=np.uint8)
    seen = Mask(geometry=truth.geometry, labels=values[labels], table=table, annotated=judged)
    return as_far_as_judged(seen, seen)


def as_far_as_judged(answer: Mask, known: Mask) -> Mask:
    """The answer with scar and no-reflow as myocardium, on slices on which they were not judged and it was.

    Args:
        answer: any mask on the grid of `known`.
        known: what an expert judged.
    """
    labels, value = answer.labels, dict(zip(answer.table.names, answer.table.values, strict=True))
    for part, around in INSIDE.items():
        undivided = known.judged(around) & ~known.judged(part)  # (time, slice)
        if {part, around} <= value.keys() and undivided.any():
            labels = np.where(undivided[:, :, None, None] & (labels == value[part]), np.uint8(value[around]), labels)
    return replace(answer, labels=labels)
