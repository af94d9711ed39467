"""One answer against what an expert drew, on what the expert judged.

Distances are taken in the plane, slice by slice, for cardiac slices lie 8 mm apart; those of all judged slices are
pooled before the percentile. Where only one of both regions is empty, each border pixel of the other is as far away as
the image is wide: nothing is gained by leaving a slice out.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from irp_bundle import Pipeline, TorchEngine, dice, read_bundle
from irp_bundle.metrics import surface_distances
from irp_kernel import Geometry, Mask, Volume, decode_mask, decode_volume
from numpy.typing import NDArray
from scipy import ndimage

from irp_training.domain.challenges.challenge import CaseScore, Metric
from irp_training.domain.container_errors import EntryNeedsMarks
from irp_training.domain.plan import CaseFile
from irp_training.domain.scores import as_model_sees

Values = dict[str, dict[str, float]]  # metric -> structure -> value


def judged_frames(truth: Mask, structures: tuple[str, ...]) -> list[int]:
    """Frames of which an expert judged one of the structures."""
    known = as_model_sees(truth, structures)
    return [int(frame) for frame in np.flatnonzero(known.annotated.any(axis=(1, 2)))]


def at_frames(volume: Volume, truth: Mask, frames: list[int]) -> tuple[Volume, Mask]:
    """The same heart at some of its frames only."""
    whole = volume.geometry
    times = tuple(whole.frame_times_ms[frame] for frame in frames) if whole.frame_times_ms else ()
    geometry = Geometry(shape=whole.shape, affine=whole.affine, frames=len(frames), frame_times_ms=times)
    part = Mask(geometry=geometry, labels=truth.labels[frames], table=truth.table, annotated=truth.annotated[frames])
    return Volume(geometry=geometry, array=volume.array[frames]), part


def score_answer(found: Mask | None, truth: Mask, structures: tuple[str, ...], metrics: tuple[Metric, ...]) -> Values:
    """Metric -> structure -> value.

    Args:
        found: the answer; None or a structure that it does not hold = the worst value.
        truth: what an expert drew.
        structures: that are compared.
        metrics: "dice", "hd95" (mm).
    """
    known = as_model_sees(truth, structures)
    answer = as_model_sees(found, structures) if found is not None else None
    values: Values = {metric: {} for metric in metrics}
    for name in structures:
        where = known.judged(name)
        if not where.any():
            continue
        true = known.of(name)[where]
        said = answer.of(name)[where] if answer else np.zeros_like(true)
        if not true.any() and not said.any():
            continue
        for metric in metrics:
            plane = truth.geometry.spacing_mm[1:]
            values[metric][name] = float(dice(said, true)) if metric == "dice" else pooled_hd95(said, true, plane)
    return {metric: row for metric, row in values.items() if row}


def pooled_hd95(said: NDArray[np.bool_], true: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> float:
    """95th percentile of the in-plane border distances of all slices, mm.

    Args:
        said: (slice, row, column).
        true: the same.
        spacing_mm: (row, column).
    """
    diagonal = float(np.hypot(*(np.asarray(true.shape[1:]) * np.asarray(spacing_mm))))
    pooled = [_slice_distances(one, two, spacing_mm, diagonal) for one, two in zip(said, true, strict=True)]
    distances = np.concatenate(pooled)
    return float(np.percentile(distances, 95)) if distances.size else 0.0


def _slice_distances(
    one: NDArray[np.bool_], two: NDArray[np.bool_], spacing_mm: tuple[float, ...], diagonal: float
) -> NDArray[np.float64]:
    if one.any() and two.any():
        return np.concatenate(surface_distances(one, two, spacing_mm))
    alone = one | two
    return np.full(int((alone & ~ndimage.binary_erosion(alone)).sum()), diagonal)


def score_bundle_entry(
    data: bytes,
    files: Iterable[CaseFile],
    structures: tuple[str, ...],
    metrics: tuple[Metric, ...],
    device: str = "cpu",
) -> list[CaseScore]:
    """Every case of a test set, answered by a model bundle with its whole pipeline.

    Raises:
        EntryNeedsMarks: it answers to clicks, and nobody clicks here.
    """
    bundle = read_bundle(data)
    if bundle.spec.prompts is not None:
        raise EntryNeedsMarks
    pipeline = Pipeline(bundle, TorchEngine(bundle, device))
    rows = []
    for case, _, volume_file, mask_file in files:
        volume, truth = decode_volume(volume_file), decode_mask(mask_file)
        frames = judged_frames(truth, structures)
        found = pipeline.run(volume, frames=frames)[0] if frames else None
        values = score_answer(found, truth, structures, metrics)
        rows.append(CaseScore(series=case.series, patient=case.patient, values=values))
    return rows
