"""The expert's truth in the form the platform takes: contours as JSON, or a mask file on the series' grid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from openirp.demo.hearts import Points
from openirp.demo.plan import Case
from openirp.project import JSON, NRRD, Project

CAVITY, MYOCARDIUM, EPICARDIUM = "lv_blood_pool", "lv_myocardium", "lv_epicardium"


def send_truth(project: Project, case: Case) -> dict[str, Any]:
    """Send a patient's truth as an accepted mask; the new version."""
    if case.heart.cavity:
        return project.put_mask(case.series_uid, contours(case), media_type=JSON, state="accepted")
    body, annotated = mask_file(project, case)
    return project.put_mask(case.series_uid, body, media_type=NRRD, state="accepted", annotated=annotated)


def contours(case: Case) -> bytes:
    """Contours as the platform reads them: myocardium is what lies between epicardium and cavity.

    The expert drew no epicardium at end-systole: the myocardium is unknown there, not absent.
    """
    drawn = [_contour(case, CAVITY, number, points) for number, points in sorted(case.heart.cavity.items())]
    drawn += [_contour(case, EPICARDIUM, number, points) for number, points in sorted(case.heart.epicardium.items())]
    return json.dumps({"contours": drawn}).encode()


def _contour(case: Case, structure: str, number: int, points: Points) -> dict[str, Any]:
    frame, slice_ = case.places[number]
    return {"structure": structure, "frame": frame, "slice": slice_, "points_px": points.round(3).tolist()}


def mask_file(project: Project, case: Case) -> tuple[bytes, dict[str, Any]]:
    """A mask of the cavity as NRRD on the series' own grid, and the (frame, slice) pairs that were looked at."""
    from irp_kernel import LabelTable, Mask, decode_volume, encode_mask

    geometry = decode_volume(project.volume(case.series_uid)).geometry
    labels = np.zeros(geometry.array_shape, dtype=np.uint8)
    for number, region in case.heart.cavity_masks.items():
        labels[case.places[number]] = region
    pairs = [list(place) for place in case.judged]
    table = LabelTable.canonical([CAVITY])
    return encode_mask(Mask.annotated_where_labelled(geometry, labels, table)), {CAVITY: pairs}
