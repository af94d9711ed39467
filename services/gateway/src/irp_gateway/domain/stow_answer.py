"""What STOW-RS answers. Source: PS3.18 section 10.5.3 and table I.2-1."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any


def stow_answer(outcomes: Sequence[dict[str, Any]], base: str) -> tuple[int, dict[str, Any]]:
    """HTTP status and DICOM JSON body.

    Args:
        outcomes: one per instance, in order: study_uid, series_uid, sop_instance_uid, sop_class_uid, failure_reason
            (0 = stored), reason.
        base: address of the DICOMweb root, without trailing slash.
    """
    stored = [_stored(o, base) for o in outcomes if o["failure_reason"] == 0]
    failed = [_failed(o) for o in outcomes if o["failure_reason"] != 0]
    body: dict[str, Any] = {}
    studies = {o["study_uid"] for o in outcomes if o["failure_reason"] == 0}
    if len(studies) == 1:
        body["00081190"] = {"vr": "UR", "Value": [f"{base}/studies/{studies.pop()}"]}
    if stored:
        body["00081199"] = {"vr": "SQ", "Value": stored}
    if failed:
        body["00081198"] = {"vr": "SQ", "Value": failed}
    return (200 if not failed else 202) if stored else 409, body


def fates_of(outcomes: Sequence[dict[str, Any]]) -> str:
    """What became of the files, in order, as runs: "30s 1r 1a" = 30 stored, one refused, one already stored."""
    fates = ("r" if o["failure_reason"] else "a" if o["already_stored"] else "s" for o in outcomes)
    return " ".join(f"{len(list(run))}{fate}" for fate, run in groupby(fates))


def _stored(outcome: dict[str, Any], base: str) -> dict[str, Any]:
    path = f"studies/{outcome['study_uid']}/series/{outcome['series_uid']}/instances/{outcome['sop_instance_uid']}"
    return {
        "00081150": {"vr": "UI", "Value": [outcome["sop_class_uid"]]},
        "00081155": {"vr": "UI", "Value": [outcome["sop_instance_uid"]]},
        "00081190": {"vr": "UR", "Value": [f"{base}/{path}"]},
    }


def _failed(outcome: dict[str, Any]) -> dict[str, Any]:
    item: dict[str, Any] = {"00081197": {"vr": "US", "Value": [outcome["failure_reason"]]}}
    if outcome["sop_class_uid"]:
        item["00081150"] = {"vr": "UI", "Value": [outcome["sop_class_uid"]]}
    if outcome["sop_instance_uid"]:
        item["00081155"] = {"vr": "UI", "Value": [outcome["sop_instance_uid"]]}
    if outcome["reason"]:
        # Error Comment: the reason of the error tree, never a value of the refused file
        item["00000902"] = {"vr": "LO", "Value": [outcome["reason"][:64]]}
    return item
