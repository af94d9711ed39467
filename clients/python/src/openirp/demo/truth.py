"""The expert's truth in the form the platform takes: contours as JSON, or a mask file on the series' grid."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from openirp.demo.plan import Case
from openirp.project import JSON, NRRD, Project

CAVITY, MYOCARDIUM = "lv_blood_pool", "lv_myocardium"


def send_truth(project: Project, case: Case) -> dict[str, Any]:
    """Send a patient's truth as an accepted mask; the new version."""
    if case.heart.cavity:
        return project.put_mask(case.series_uid, contours(case), media_type=JSON, state="accepted")
    body, annotated = mask_file(project, case)
    return project.put_mask(case.series_uid, body, media_type=NRRD, state="accepted", annotated=annotated)


def contours(case: Case) -> bytes:
    """Contours as the platform reads them: myocardium is the ring between epicardium and cavity.

    The expert drew no epicardium at end-systole: the myocardium is unknown there, not absent.
    """
    drawn = []
    for number, points in sorted(case.heart.cavity.items()):
        drawn.append(_contour(case, CAVITY, number, [points]))
    for number, points in sorted(case.heart.epicardium.items()):
        drawn.append(_contour(case, MYOCARDIUM, number, [points, case.heart.cavity[number]]))
    return json.dumps({"contours": [one for group in drawn for one in group]}).encode()


def _contour(case: Case, structure: str, number: int, rings: list[Any]) -> list[dict[str, Any]]:
    frame, slice_ = case.places[number]
    where = {"structure": structure, "frame": frame, "slice": slice_}
    return [{**where, "points": np.asarray(ring).round(3).tolist()} for ring in rings]


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
