"""The reader takes over the right ventricle from the model's proposal: it says where the septum is.

AHA segments count from the insertion of the right ventricle, which the data set's experts did not draw. Their own
contours stay as they are; the right ventricle joins them where they drew the myocardium, as a new accepted version.
"""

from __future__ import annotations

import numpy as np
from irp_kernel import LabelTable, Mask, decode_mask, encode_mask
from irp_kernel.mask import RV_BLOOD_POOL

from openirp.demo.plan import Case
from openirp.demo.truth import CAVITY, MYOCARDIUM
from openirp.project import NRRD, Project

RIGHT = "rv_blood_pool"


def take_over_right_ventricle(project: Project, case: Case) -> bool:
    """Accept the expert's mask together with the proposal's right ventricle; False if the proposal has none there."""
    proposal = next(one for one in project.segmentations(case.series_uid) if one["state"] == "proposed")
    expert = decode_mask(project.export(str(case.segmentation["id"]), NRRD))
    joined = with_right_ventricle(expert, decode_mask(project.export(str(proposal["id"]), NRRD)))
    if joined is None:
        return False
    case.segmentation = dict(project.put_mask(case.series_uid, encode_mask(joined), state="accepted"))
    return True


def with_right_ventricle(expert: Mask, proposal: Mask) -> Mask | None:
    """The expert's mask and, where its myocardium was judged, the proposal's right ventricle outside it.

    Args:
        expert: cavity and myocardium.
        proposal: the model's mask of the same grid.

    Returns:
        The joined mask, or None if the proposal shows no right ventricle there.
    """
    where = expert.judged(MYOCARDIUM)
    if RIGHT not in proposal.table.names or not where.any():
        return None
    right = proposal.of(RIGHT) & where[:, :, np.newaxis, np.newaxis] & (expert.labels == 0)
    if not right.any():
        return None
    table = LabelTable.canonical([CAVITY, MYOCARDIUM, RIGHT])
    annotated = np.stack([expert.judged(CAVITY), where, where], axis=-1)
    labels = np.where(right, np.uint8(RV_BLOOD_POOL), expert.labels)
    return Mask(geometry=expert.geometry, labels=labels, table=table, annotated=annotated)
