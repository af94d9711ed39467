"""One answer against what an expert drew, on what the expert judged.

Dice and distances are those of every other figure of the platform (irp_bundle). What is not found at all, and what is
found where the expert saw none, has the worst values: a Dice of 0, and a distance as long as the image's diagonal. Who
sees none where the expert saw none has the best: else nothing would be lost by making it up.

Source: the rule of BraTS for a region that the reference does not hold; Isensee et al., "nnU-Net for Brain Tumor
Segmentation", BrainLes 2020, LNCS 12659.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from irp_bundle import Pipeline, dice_per_structure, distances_per_structure
from irp_kernel import Geometry, Mask, Volume, decode_mask, decode_volume

from irp_training.domain.challenges.challenge import BEST, CaseScore, Metric
from irp_training.domain.container_errors import EntryNeedsMarks
from irp_training.domain.judging.scores import as_far_as_judged, as_model_sees, judged_frames
from irp_training.domain.learning.plan import CaseFile

Values = dict[str, dict[str, float]]  # metric -> structure -> value


def at_frames(volume: Volume, truth: Mask, frames: list[int]) -> tuple[Volume, Mask]:
    """The same heart at some of its frames only."""
    whole = volume.geometry
    times = tuple(whole.frame_times_ms[frame] for frame in frames) if whole.frame_times_ms else ()
    geometry = Geometry(shape=whole.shape, affine=whole.affine, frames=len(frames), frame_times_ms=times)
    part = Mask(geometry=geometry, labels=truth.labels[frames], table=truth.table, annotated=truth.annotated[frames])
    return Volume(geometry=geometry, array=volume.array[frames]), part


def score_answer(found: Mask | None, truth: Mask, structures: tuple[str, ...], metrics: tuple[Metric, ...]) -> Values:
    """Metric -> structure -> value, of each structure that an expert judged.

    Args:
        found: the answer; None = the worst values.
        truth: what an expert drew.
        structures: that are compared.
        metrics: "dice", "hd95" (mm).
    """
    known = as_model_sees(truth, structures)
    answer = as_far_as_judged(as_model_sees(found, structures), known) if found is not None else None
    judged = [name for name in structures if known.judged(name).any()]
    columns = {metric: _worst(metric, known, judged) for metric in metrics}
    if answer is not None:
        neither = [name for name in judged if not _seen(name, known, answer)]
        for metric, column in columns.items():
            column.update(dict.fromkeys(neither, BEST[metric]))
            column.update(_measured(metric, answer, known, judged))
    return {metric: column for metric, column in columns.items() if column}


def _seen(name: str, known: Mask, answer: Mask) -> bool:
    """True if one of both sees it where it was judged."""
    where = known.judged(name)
    return bool(known.of(name)[where].any() or answer.of(name)[where].any())


def _worst(metric: Metric, known: Mask, names: list[str]) -> dict[str, float]:
    _, rows, columns = known.geometry.shape
    _, row_mm, column_mm = known.geometry.spacing_mm
    value = 0.0 if metric == "dice" else float(np.hypot(rows * row_mm, columns * column_mm))
    return dict.fromkeys(names, value)


def _measured(metric: Metric, answer: Mask, known: Mask, names: list[str]) -> dict[str, float]:
    if metric == "dice":
        return dice_per_structure(answer, known, names)
    return {name: found.hd95_mm for name, found in distances_per_structure(answer, known, names).items()}


def score_model_entry(
    pipeline: Pipeline, files: Iterable[CaseFile], structures: tuple[str, ...], metrics: tuple[Metric, ...]
) -> list[CaseScore]:
    """Every case of a test set, answered by a model with its whole pipeline.

    Raises:
        EntryNeedsMarks: it answers to clicks, and nobody clicks here.
    """
    if pipeline.bundle.spec.prompts is not None:
        raise EntryNeedsMarks
    rows = []
    for case, _, volume_file, mask_file in files:
        volume, truth = decode_volume(volume_file), decode_mask(mask_file)
        frames = judged_frames(as_model_sees(truth, structures))
        found = pipeline.run(volume, frames=frames)[0] if frames else None
        values = score_answer(found, truth, structures, metrics)
        rows.append(CaseScore(series=case.series, patient=case.patient, values=values))
    return rows
