"""Volumes and ejection fraction from the judged cavity: the sum over slices of area times pitch (Simpson's method)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from irp_kernel import Mask

MYOCARDIUM_G_PER_ML = 1.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """Cardiac function; what is not known is NaN, with the reason in `note`.

    Attributes:
        edv_ml, esv_ml: end-diastolic and end-systolic volume of the left cavity.
        lvef_percent: (EDV - ESV) / EDV.
        mass_g: myocardium at end-diastole, 1.05 g/mL.
        ed_frame, es_frame: frames; -1 if not known.
        note: why something is not known.
    """

    edv_ml: float = float("nan")
    esv_ml: float = float("nan")
    lvef_percent: float = float("nan")
    mass_g: float = float("nan")
    ed_frame: int = -1
    es_frame: int = -1
    note: str = ""


def cardiac_function(mask: Mask) -> Function:
    """Function of one series."""
    judged = mask.judged("lv_blood_pool")
    if not judged.any():
        return Function(note="the cavity was not judged")
    per_ml = mask.geometry.voxel_mm3 / 1000.0
    volumes = mask.of("lv_blood_pool").sum(axis=(2, 3)) * per_ml  # (time, slice)
    totals = np.array([volumes[t][judged[t]].sum() if judged[t].any() else np.nan for t in range(len(judged))])
    ed = int(np.nanargmax(totals))
    # the heart is not larger where fewer slices were drawn: compare frames on as many slices
    counts = judged.sum(axis=1)
    es = int(np.nanargmin(np.where(counts > 0, totals, np.nan)))
    found = Function(edv_ml=float(totals[ed]), ed_frame=ed, mass_g=_mass(mask, ed))
    if es == ed:
        return Function(
            edv_ml=found.edv_ml, ed_frame=ed, mass_g=found.mass_g, note="the cavity was judged on one frame only"
        )
    note = "" if abs(int(counts[es]) - int(counts[ed])) <= 2 else "end-systole was judged on fewer slices"
    esv = float(totals[es])
    return Function(
        edv_ml=found.edv_ml,
        esv_ml=esv,
        lvef_percent=100.0 * (found.edv_ml - esv) / found.edv_ml if found.edv_ml else float("nan"),
        mass_g=found.mass_g,
        ed_frame=ed,
        es_frame=es,
        note=note,
    )


def _mass(mask: Mask, frame: int) -> float:
    judged = mask.judged("lv_myocardium")[frame]
    if not judged.any():
        return float("nan")
    voxels = int(mask.of("lv_myocardium")[frame][judged].sum())
    return voxels * mask.geometry.voxel_mm3 / 1000.0 * MYOCARDIUM_G_PER_ML
