"""How good a mask is, judged only where both were judged: what nobody drew is unknown, not background."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from irp_kernel import Mask
from numpy.typing import NDArray
from scipy import ndimage


def dice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|); NaN where both are empty."""
    total = int(predicted.sum()) + int(truth.sum())
    return 2.0 * int((predicted & truth).sum()) / total if total else float("nan")


def dice_per_structure(predicted: Mask, truth: Mask, names: Iterable[str] | None = None) -> dict[str, float]:
    """Dice over all (frame, slice) on which both masks judged the structure.

    Structures that were never judged, or are in neither mask, are left out.

    Args:
        predicted: mask under test.
        truth: what is believed.
        names: structures; None = those of the truth.
    """
    found = dice_where_judged(predicted, truth, truth.table.names if names is None else names)
    return {name: value for name, value in found.items() if not np.isnan(value)}


def dice_where_judged(predicted: Mask, truth: Mask, names: Iterable[str]) -> dict[str, float]:
    """As `dice_per_structure`, but a structure that was judged and is in neither mask is there, as NaN."""
    judged = {name: judged_by_both(predicted, truth, name) for name in names}
    return {name: dice(predicted.of(name)[both], truth.of(name)[both]) for name, both in judged.items() if both.any()}


def judged_by_both(predicted: Mask, truth: Mask, name: str) -> NDArray[np.bool_]:
    """Where both masks judged a structure: bool (time, slice)."""
    return np.asarray(predicted.judged(name) & truth.judged(name))


def surface_distances(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances in mm from each border pixel of one region to the other's border, there and back; empty if either is.

    Args:
        predicted: bool, 2D or 3D.
        truth: bool, same shape.
        spacing_mm: per axis.
    """
    if not predicted.any() or not truth.any():
        return np.empty(0), np.empty(0)
    around = _around(predicted | truth)
    a, b = _border(predicted[around]), _border(truth[around])
    to_b = ndimage.distance_transform_edt(~b, sampling=spacing_mm)
    to_a = ndimage.distance_transform_edt(~a, sampling=spacing_mm)
    return to_b[a], to_a[b]


def hd95(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: tuple[float, ...]) -> float:
    """The greater of the 95th percentiles of the distances there and back, mm; NaN if a region is empty.

    Source: MONAI `compute_hausdorff_distance(percentile=95)`, DeepMind `compute_robust_hausdorff`.
    """
    return _greater_95(*surface_distances(predicted, truth, spacing_mm))


def mean_surface_distance(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], spacing_mm: tuple[float, ...]
) -> float:
    """Average symmetric surface distance: the mean of all distances there and back, mm; NaN if a region is empty.

    Source: MONAI `compute_average_surface_distance(symmetric=True)`.
    """
    distances = np.concatenate(surface_distances(predicted, truth, spacing_mm))
    return float(distances.mean()) if distances.size else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """How far two masks' borders of a structure lie apart.

    Attributes:
        hd95_mm: see `hd95`, over all blocks together.
        assd_mm: see `mean_surface_distance`, over all blocks together.
        unmatched: (frame, slice) pairs in blocks where one mask has the structure and the other has none of it: no
            distance exists there, and none is made up; Dice, 0 on them, tells them.
    """

    hd95_mm: float
    assd_mm: float
    unmatched: int = 0

    @classmethod
    def of(cls, there: NDArray[np.float64], back: NDArray[np.float64], unmatched: int = 0) -> Distances:
        """From the distances that `surface_distances` found, of one block or of several; neither is empty."""
        mean = float(np.concatenate([there, back]).mean())
        return cls(hd95_mm=_greater_95(there, back), assd_mm=mean, unmatched=unmatched)


def distances_per_structure(predicted: Mask, truth: Mask, names: Iterable[str] | None = None) -> dict[str, Distances]:
    """Surface distances where both masks judged a structure; structures without any distance are left out.

    A block is a run of consecutive judged slices of one frame: in 3D with the grid's spacing, a single slice in its
    own plane. A slice that nobody judged ends a block, for what lies there is unknown. Distances of all blocks
    are taken together; on one frame that was judged as a whole they are those of MONAI in 3D.

    Args:
        predicted: mask under test.
        truth: what is believed.
        names: structures; None = those of the truth.
    """
    found: dict[str, Distances] = {}
    spacing = truth.geometry.spacing_mm
    for name in truth.table.names if names is None else names:
        a, b, unmatched = predicted.of(name), truth.of(name), 0
        there, back = list[NDArray[np.float64]](), list[NDArray[np.float64]]()
        for frame, block in _blocks(judged_by_both(predicted, truth, name)):
            mine, theirs = a[frame, block], b[frame, block]
            if mine.any() != theirs.any():
                unmatched += int((mine | theirs).any(axis=(1, 2)).sum())
            flat = len(mine) == 1
            one = surface_distances(*((mine[0], theirs[0], spacing[1:]) if flat else (mine, theirs, spacing)))
            there.append(one[0])
            back.append(one[1])
        if there and sum(map(len, there)):
            found[name] = Distances.of(np.concatenate(there), np.concatenate(back), unmatched)
    return found


def _greater_95(there: NDArray[np.float64], back: NDArray[np.float64]) -> float:
    if not there.size or not back.size:
        return float("nan")
    return float(max(np.percentile(there, 95), np.percentile(back, 95)))


def _blocks(judged: NDArray[np.bool_]) -> Iterator[tuple[int, slice]]:
    """Runs of consecutive slices that are true in (time, slice): (frame, slice(begin, end))."""
    for frame, row in enumerate(judged):
        steps = np.flatnonzero(np.diff(np.concatenate([[False], row, [False]]).astype(np.int8)))
        for begin, end in steps.reshape(-1, 2).tolist():
            yield frame, slice(begin, end)


def _around(region: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box around a region: distances between two borders need nothing else, and most of an image is empty."""
    (found,) = ndimage.find_objects(region.astype(np.uint8))
    return tuple(found)


def _border(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(region & ~ndimage.binary_erosion(region))
