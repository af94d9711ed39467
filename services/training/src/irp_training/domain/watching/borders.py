"""Figures of an epoch: how far the borders of the net and of the expert lie apart on validation slices, in their plane.

A hint while a run learns; figures of whole series, in 3D, come when it has ended. Definitions are irp_bundle's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from irp_bundle import Distances, surface_distances

from irp_training.domain.samples.stages import Stage
from irp_training.domain.watching.curves import with_bands
from irp_training.domain.watching.looks import Look

MEASURES = ("hd95_mm", "assd_mm")

Sums = dict[str, tuple[float, float]]  # patient -> (sum of values, number of slices)


def border_figures(stage: Stage, looks: Sequence[Look]) -> dict[str, float]:
    """`val_hd95_mm_<structure>` and `val_assd_mm_<structure>`: means of slices, with `_low` and `_high` over patients.

    A slice on which only one of both drew the structure has no distance, and none is made up:
    `val_unmatched_<structure>` counts them.
    """
    sums: dict[str, Sums] = {}
    unmatched: dict[str, int] = {}
    for look in looks:
        spacing = stage.pixel_mm(look.example)
        for place in np.flatnonzero(look.judged):
            mine, theirs = look.found == place + 1, look.truth == place + 1
            name, patient = stage.structures[place], look.example.patient
            if mine.any() and theirs.any():
                _add(sums, name, patient, Distances.of(*surface_distances(mine, theirs, spacing)))
            unmatched[name] = unmatched.get(name, 0) + int(mine.any() != theirs.any())
    return with_bands(sums) | {f"val_unmatched_{name}": float(count) for name, count in unmatched.items()}


def _add(sums: dict[str, Sums], name: str, patient: str, distances: Distances) -> None:
    for measure, value in zip(MEASURES, (distances.hd95_mm, distances.assd_mm), strict=True):
        parts = sums.setdefault(f"val_{measure}_{name}", {})
        total, count = parts.get(patient, (0.0, 0.0))
        parts[patient] = (total + value, count + 1)
