"""Volumes, ejection fraction and mass from judged slices: the sum of areas times the true pitch (Simpson's method).

A frame counts only where the cavity was judged, and two frames are compared only if the same slices were judged on
both: what nobody looked at is unknown, never empty.
Sources: Schulz-Menger et al., JCMR 22:19, 2020 (summation of discs); density of myocardium 1.05 g/mL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irp_kernel import Mask
from numpy.typing import NDArray

from irp_radiomics.domain.wall import wall_of

MYOCARDIUM_G_PER_ML = 1.05
NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """Cardiac function; what is not known is NaN, with the reason in `note`.

    Attributes:
        edv_ml, esv_ml: end-diastolic and end-systolic volume of the left cavity.
        lvef_percent: (EDV - ESV) / EDV.
        mass_g: myocardium at end-diastole.
        ed_frame, es_frame: frames; -1 if not known.
        note: why something is not known, or holds for a part only.
    """

    edv_ml: float = NAN
    esv_ml: float = NAN
    lvef_percent: float = NAN
    mass_g: float = NAN
    ed_frame: int = -1
    es_frame: int = -1
    note: str = ""


def cardiac_function(mask: Mask) -> Function:
    """Function of one series."""
    judged = mask.judged("lv_blood_pool")
    if not judged.any():
        return Function(note="the cavity was not judged")
    frames = _comparable(judged)
    slices = judged[frames[0]]
    holes = _holes(slices)
    if holes:
        return Function(note=f"{holes} slices between judged ones were not judged")
    voxels = (mask.of("lv_blood_pool") & judged[:, :, None, None]).sum(axis=(1, 2, 3))
    volumes = {frame: float(voxels[frame]) * mask.geometry.voxel_mm3 / 1000.0 for frame in frames}
    ed = max(frames, key=lambda frame: volumes[frame])
    mass, mass_note = _mass(mask, ed, slices)
    if volumes[ed] == 0.0:
        return Function(note="no cavity on any judged slice")
    if len(frames) == 1:
        others = int((judged.any(axis=1)).sum()) - 1
        why = "on other slices elsewhere: frames cannot be compared" if others else "on one frame only"
        note = "; ".join(filter(None, (f"the cavity was judged {why}", mass_note)))
        return Function(edv_ml=volumes[ed], mass_g=mass, ed_frame=ed, note=note)
    es = min(frames, key=lambda frame: volumes[frame])
    return Function(
        edv_ml=volumes[ed],
        esv_ml=volumes[es],
        lvef_percent=100.0 * (volumes[ed] - volumes[es]) / volumes[ed],
        mass_g=mass,
        ed_frame=ed,
        es_frame=es,
        note=mass_note,
    )


def wall_frame(mask: Mask, function: Function) -> int:
    """The frame that features are read from: end-diastole, or else the judged wall nearest to it in cavity size."""
    walls = np.flatnonzero(mask.judged("lv_myocardium").any(axis=1))
    if function.ed_frame in walls or not walls.size:
        return max(function.ed_frame, 0)
    cavity = mask.of("lv_blood_pool").sum(axis=(1, 2, 3)) if "lv_blood_pool" in mask.table.names else None
    return int(walls[0] if cavity is None else max(walls, key=lambda frame: cavity[frame]))


def _comparable(judged: NDArray[np.bool_]) -> list[int]:
    """Frames judged on one and the same set of slices: the set shared by two frames or more, else the largest."""
    sets: dict[tuple[bool, ...], list[int]] = {}
    for frame, slices in enumerate(judged):
        if slices.any():
            sets.setdefault(tuple(slices.tolist()), []).append(frame)
    return max(sets.items(), key=lambda item: (len(item[1]) > 1, sum(item[0]), len(item[1])))[1]


def _holes(slices: NDArray[np.bool_]) -> int:
    first, last = np.flatnonzero(slices)[[0, -1]]
    return int(last - first + 1 - slices.sum())


def _mass(mask: Mask, frame: int, slices: NDArray[np.bool_]) -> tuple[float, str]:
    judged = mask.judged("lv_myocardium")[frame]
    if not judged.any():
        return NAN, "the myocardium was not judged at end-diastole"
    wall = wall_of(mask, frame).wall
    missing = int((slices & ~judged).sum())
    note = f"mass counts {int(judged.sum())} slices: on {missing} more the myocardium was not judged" if missing else ""
    return float(wall.sum()) * mask.geometry.voxel_mm3 / 1000.0 * MYOCARDIUM_G_PER_ML, note
