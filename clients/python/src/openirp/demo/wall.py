"""The reader accepts the model's wall around an expert's cavity, for patients of whom no expert drew the wall.

AHA segments need a wall. The expert's own lines stay as they are; the proposal's myocardium and right ventricle join
them on the images that the expert looked at, as a new accepted version whose provenance is the reader's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from irp_kernel import LabelTable, Mask, decode_mask, encode_mask
from irp_kernel.mask import VALUE_OF

from openirp.demo.plan import Case
from openirp.demo.truth import CAVITY, MYOCARDIUM
from openirp.project import NRRD, Project

RIGHT = "rv_blood_pool"


def take_over_wall(project: Project, case: Case) -> dict[str, Any] | None:
    """Accept the expert's cavity with the proposal's wall; the new version, or None if the proposal has none there."""
    proposals = [one for one in project.segmentations(case.series_uid) if one["state"] == "proposed"]
    expert = decode_mask(project.export(str(case.segmentation["id"]), NRRD))
    joined = with_wall(expert, decode_mask(project.export(str(proposals[-1]["id"]), NRRD)))
    if joined is None:
        return None
    return project.put_mask(case.series_uid, encode_mask(joined), state="accepted")


def with_wall(expert: Mask, proposal: Mask) -> Mask | None:
    """The expert's cavity and, where it was judged, the proposal's myocardium and right ventricle outside it.

    Args:
        expert: cavity.
        proposal: the model's mask of the same grid.

    Returns:
        The joined mask, or None if the proposal shows no wall there.
    """
    where = expert.judged(CAVITY)
    free = where[:, :, np.newaxis, np.newaxis] & ~expert.of(CAVITY)
    labels = np.where(expert.of(CAVITY), np.uint8(VALUE_OF[CAVITY]), np.uint8(0))
    for name in (MYOCARDIUM, RIGHT):
        if name in proposal.table.names:
            labels[free & proposal.of(name)] = VALUE_OF[name]
    if not (labels == VALUE_OF[MYOCARDIUM]).any():
        return None
    names = [name for name in (CAVITY, MYOCARDIUM, RIGHT) if name == CAVITY or name in proposal.table.names]
    annotated = np.stack([where] * len(names), axis=-1)
    return Mask(geometry=expert.geometry, labels=labels, table=LabelTable.canonical(names), annotated=annotated)
