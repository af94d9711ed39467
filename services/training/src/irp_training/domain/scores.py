"""Dice of the whole two-stage pipeline, case by case, on what an expert judged."""

from __future__ import annotations

import numpy as np
from irp_bundle import Located, Pipeline, dice_per_structure
from irp_kernel import LabelTable, Mask, Volume

from irp_training.domain.clicked import answer_to_clicks
from irp_training.domain.examples import channels


def score_case(pipeline: Pipeline, volume: Volume, truth: Mask, located: Located | None = None) -> dict[str, float]:
    """Dice per structure of the model, over the frames and slices on which it was judged.

    Scar and no-reflow count as myocardium where the model has no channel of their own; structures never judged, or
    absent from truth and answer alike, are left out. A model that takes marks answers to one click per slice.
    `located`: what stage 1 says of the volume, if it is known.
    """
    structures = pipeline.bundle.structures
    known = as_model_sees(truth, structures)
    frames = judged_frames(known)
    if not frames:
        return {}
    if pipeline.bundle.spec.prompts is None:
        found, _ = pipeline.run(volume, frames=frames, located=located)
    elif known.labels.any():
        found = answer_to_clicks(pipeline, volume, known)
    else:
        return {}
    return dice_per_structure(found, known, structures)


def judged_frames(known: Mask) -> list[int]:
    """Frames on which somebody judged a structure."""
    return [int(frame) for frame in np.flatnonzero(known.annotated.any(axis=(1, 2)))]


def as_model_sees(truth: Mask, structures: tuple[str, ...]) -> Mask:
    """The truth in a model's own structures."""
    labels, judged = channels(truth, structures)
    table = LabelTable.canonical(structures)
    values = np.array([0, *table.values], dtype=np.uint8)
    return Mask(geometry=truth.geometry, labels=values[labels], table=table, annotated=judged)
