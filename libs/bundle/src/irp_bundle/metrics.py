"""How good a mask is, judged only where both were judged: what nobody drew is unknown, not background."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from irp_kernel import Mask
from numpy.typing import NDArray
from scipy import ndimage


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|); NaN where both are empty."""
    total = int(predicted.sum()) + int(truth.sum())
    return 2.0 * int((predicted & truth).sum()) / total if total else float("nan")


def dice_per_structure(predicted: Mask, truth: Mask, names: Iterable[str] | None = None) -> dict[str, float]:
    """Dice over all (frame, slice) on which both masks judged the structure; structures never judged are left out.

    Args:
        predicted: mask under test.
        truth: what is believed.
        names: structures; None = those of the truth.
    """
    found: dict[str, float] = {}
    for name in truth.table.names if names is None else names:
        both = judged_by_both(predicted, truth, name)
        if both.any():
            value = dice(predicted.of(name)[both], truth.of(name)[both])
            if not np.isnan(value):
                found[name] = value
    return found


def judged_by_both(predicted: Mask, truth: Mask, name: str) -> NDArray[np.bool_]:
    """Where both masks judged a structure: bool (time, slice)."""
    return np.asarray(predicted.judged(name) & truth.judged(name))


def surface_distances(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> NDArray[np.float64]:
    """Distances in mm from each border pixel of one region to the other's border, both ways; empty if either is.

    Args:
        predicted: bool, 2D or 3D.
        truth: bool, same shape.
        spacing_mm: per axis.
    """
    if not predicted.any() or not truth.any():
        return np.empty(0)
    a, b = _border(predicted), _border(truth)
    to_b = ndimage.distance_transform_edt(~b, sampling=spacing_mm)
    to_a = ndimage.distance_transform_edt(~a, sampling=spacing_mm)
    return np.concatenate([to_b[a], to_a[b]])


def hd95(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> float:
    """95th percentile of the symmetric surface distances, mm; NaN if a region is empty."""
    distances = surface_distances(predicted, truth, spacing_mm)
    return float(np.percentile(distances, 95)) if distances.size else float("nan")


def mean_surface_distance(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> float:
    """Mean of the symmetric surface distances, mm; NaN if a region is empty."""
    distances = surface_distances(predicted, truth, spacing_mm)
    return float(distances.mean()) if distances.size else float("nan")


def _border(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(region & ~ndimage.binary_erosion(region))
