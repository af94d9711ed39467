"""How well two masks agree, only where the truth was judged."""

from __future__ import annotations

import numpy as np
from irp_kernel import Mask
from numpy.typing import NDArray
from scipy import ndimage


def dice(truth: Mask, found: Mask, structure: str) -> float:
    """Dice over all (frame, slice) where the truth was judged; NaN if it was judged nowhere or both are empty."""
    judged = truth.judged(structure)
    if not judged.any() or structure not in found.table.names:
        return float("nan")
    mine, theirs = truth.of(structure)[judged], found.of(structure)[judged]
    total = int(mine.sum()) + int(theirs.sum())
    return 2 * int((mine & theirs).sum()) / total if total else float("nan")


def surface_distances_mm(
    truth: NDArray[np.bool_], found: NDArray[np.bool_], spacing_mm: tuple[float, float]
) -> NDArray[np.float64]:
    """Distances between the outlines of two planar regions, both ways, in mm; empty if one is empty."""
    if not truth.any() or not found.any():
        return np.empty(0)
    edges = [region & ~ndimage.binary_erosion(region) for region in (truth, found)]
    far = [ndimage.distance_transform_edt(~edge, sampling=spacing_mm) for edge in edges]
    return np.concatenate([far[1][edges[0]], far[0][edges[1]]])


def surface_report_mm(truth: Mask, found: Mask, structure: str) -> dict[str, float]:
    """95th percentile (HD95) and mean of the outline distances over the judged slices, mm; NaN if there is none."""
    spacing = truth.geometry.spacing_mm[1:]
    mine, theirs = truth.of(structure), found.of(structure)
    pieces = [surface_distances_mm(mine[t, s], theirs[t, s], spacing) for t, s in np.argwhere(truth.judged(structure))]
    distances = np.concatenate(pieces) if pieces else np.empty(0)
    if not distances.size:
        return {"hd95_mm": float("nan"), "mean_mm": float("nan")}
    return {"hd95_mm": float(np.percentile(distances, 95)), "mean_mm": float(distances.mean())}
