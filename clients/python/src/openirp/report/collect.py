"""Figures for the page of any project, from what the gateway answers."""

from __future__ import annotations

import importlib.metadata
from datetime import UTC, datetime
from typing import Any

from openirp.problem import Problem
from openirp.project import Project


def collect(project: Project) -> dict[str, Any]:
    """Everything that the gateway says of a project, in the form that the page shows."""
    about = project.describe()
    series = project.series()
    quality = [report for one in series if (report := _quality(project, one))]
    runs = [run for run in project.runs() if run["state"] == "succeeded"]
    return {
        "title": about["title"] or about["name"],
        "demonstration": False,
        "summary": f"Project {about['name']}, revision {about['revision']} of its configuration.",
        "created_at": datetime.now(UTC).isoformat(),
        "software_version": importlib.metadata.version("openirp"),
        "tiles": [
            {"value": str(len(series)), "label": "series"},
            {"value": str(len({one["patient"] for one in series})), "label": "patients"},
            {"value": str(len(runs)), "label": "training runs that succeeded"},
        ],
        "patients": [_patient(one, quality) for one in series],
        "patients_note": "By pseudonym.",
        "quality": quality,
        "training": _training(runs[-1]) if runs else None,
        "function": [{"label": one["patient"], **one} for one in project.function()],
        "function_note": "From the newest accepted masks.",
        "provenance": _provenance(project, about, series),
        "provenance_note": "",
        "licence_note": "",
    }


def _patient(one: dict[str, Any], quality: list[dict[str, Any]]) -> dict[str, Any]:
    shape = one.get("shape") or []
    verdict = next((q["verdict"] for q in quality if q["series_uid"] == one["series_uid"]), None)
    frames, slices = (shape[0], shape[1]) if len(shape) == 4 else (None, None)
    return {**one, "label": one["patient"], "frames": frames, "slices": slices, "verdict": verdict}


def _quality(project: Project, one: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return {"label": one["patient"], **project.quality(one["series_uid"])}
    except Problem as problem:
        if problem.status in (400, 404):
            return None
        raise


def _training(run: dict[str, Any]) -> dict[str, Any]:
    gate = run.get("gate") or {}
    said = "promoted" if run["promoted"] else "not promoted"
    return {**run, "summary": f"The newest run, {run['id']}: {said}.", "gate": gate.get("comparisons", [])}


def _provenance(project: Project, about: dict[str, Any], series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = [_row("configuration", f"revision {about['revision']}", about["digest"], {"at": about["created_at"]})]
    for one in series:
        rows.append(_row("volume", one["series_uid"], one["volume_sha256"], {}))
        rows += [
            _row(f"mask, version {s['version']} ({s['state']})", s["id"], s["digest"], s.get("provenance") or {})
            for s in project.segmentations(one["series_uid"])
        ]
    return rows


def _row(what: str, id: str, digest: str, said: dict[str, Any]) -> dict[str, Any]:
    made = {"who": said.get("actor"), "when": said.get("at"), "software": said.get("software")}
    return {"what": what, "id": id, "digest": digest, **made}
