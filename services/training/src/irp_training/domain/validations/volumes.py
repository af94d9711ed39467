"""Volumes in ml of answer and truth, on the same slices; where a heart was judged at two times at least, its function.

What nobody judged has no volume. Volumes are sums over judged slices only, so they are comparable, not always a whole
ventricle's: `docs/adr/0036`.
"""

from __future__ import annotations

import numpy as np
from irp_bundle import metrics
from irp_kernel import Mask
from numpy.typing import NDArray

ML = 1e-3  # of a mm3
POOL = "lv_blood_pool"

Pair = tuple[float, float]  # answer, truth


def volume_pairs(found: Mask, known: Mask) -> dict[str, Pair]:
    """Structure -> (answer, truth) in ml, at the time when the truth is largest."""
    pairs = {}
    for name in known.table.names:
        times = _whole_times(metrics.judged_by_both(found, known, name))
        if times.any():
            mine, theirs = _ml(found, known, name, times)
            largest = int(theirs.argmax())
            pairs[name] = (float(mine[largest]), float(theirs[largest]))
    return pairs


def function_pairs(found: Mask, known: Mask) -> dict[str, Pair]:
    """(answer, truth) of end-diastolic and end-systolic volume (ml) and ejection fraction (%).

    End-diastole and end-systole are the truth's: largest and smallest cavity of the times that were judged on the same
    slices. Empty with fewer than two such times.
    """
    if POOL not in known.table.names:
        return {}
    times = _whole_times(metrics.judged_by_both(found, known, POOL))
    if int(times.any(axis=1).sum()) < 2:
        return {}
    mine, theirs = _ml(found, known, POOL, times)
    ed, es = int(theirs.argmax()), int(theirs.argmin())
    pairs = {"edv_ml": (float(mine[ed]), float(theirs[ed])), "esv_ml": (float(mine[es]), float(theirs[es]))}
    if min(mine[ed], theirs[ed]) > 0:
        pairs["ef_percent"] = (100 * float(1 - mine[es] / mine[ed]), 100 * float(1 - theirs[es] / theirs[ed]))
    return pairs


def _whole_times(judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """`judged` (time, slice) at those times only that were judged on the same slices as the best one."""
    counts = judged.sum(axis=1)
    if not counts.any():
        return np.zeros_like(judged)
    pattern = judged[int(counts.argmax())]
    return np.asarray(judged & (judged == pattern).all(axis=1)[:, None])


def _ml(found: Mask, known: Mask, name: str, times: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Volumes (time,) of answer and truth at the times with a slice in `times`."""
    when = np.flatnonzero(times.any(axis=1))
    voxel_ml = float(np.prod(known.geometry.spacing_mm)) * ML
    where = times[when][:, :, None, None]
    return tuple((mask.of(name)[when] & where).sum(axis=(1, 2, 3)) * voxel_ml for mask in (found, known))
