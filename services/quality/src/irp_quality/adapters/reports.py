"""Reports as JSON: rows and stored documents speak the same form; unknown numbers are null with a reason, never NaN."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

from irp_kernel import ObjectRef

from irp_quality.app.ports import Assessment
from irp_quality.domain.report import SeriesReport
from irp_quality.domain.slice_quality import SliceQuality

MEDIA_TYPE = "application/json"
FORMAT = "irp-quality-report/1"


class Store(Protocol):
    """The part of Objects that is needed here."""

    async def put(
        self, data: bytes, *, project: str, entity: str, id: str, kind: str, media_type: str, extension: str
    ) -> ObjectRef:
        """Store bytes under the key that their content gives."""
        ...


class StoredReports:
    """The Documents port on the object store."""

    def __init__(self, objects: Store) -> None:
        self._objects = objects

    async def put(self, assessment: Assessment) -> ObjectRef:
        """See Documents.put."""
        body = json.dumps(to_document(assessment), sort_keys=True, indent=1, allow_nan=False).encode()
        return await self._objects.put(
            body,
            project=assessment.series.project,
            entity="series",
            id=assessment.series.uid,
            kind="quality",
            media_type=MEDIA_TYPE,
            extension="json",
        )


def to_document(assessment: Assessment) -> dict[str, Any]:
    """Assessment -> the JSON that is stored; without the time, so that the same work gives the same object."""
    series, report = assessment.series, assessment.report
    return {
        "format": FORMAT,
        "series_uid": series.uid,
        "volume_version": series.version,
        "software": assessment.software,
        "inputs": {"volume": series.volume.sha256},
        "verdict": report.verdict,
        "reasons": list(report.reasons),
        "parameters": with_nulls(report.parameters, report.unknown),
        "unknown": report.unknown,
        "slices": [
            {"slice": one.slice, "parameters": with_nulls(one.parameters, one.unknown), "unknown": one.unknown}
            for one in report.slices
        ],
    }


def with_nulls(known: Mapping[str, float], unknown: Mapping[str, str]) -> dict[str, float | None]:
    """Every parameter by name; null where it is not known."""
    return dict.fromkeys(unknown) | dict(known)


def report_to_row(report: SeriesReport) -> dict[str, Any]:
    """SeriesReport -> JSON for a row."""
    return asdict(report)


def report_from_row(row: Mapping[str, Any]) -> SeriesReport:
    """JSON of a row -> SeriesReport."""
    slices = tuple(SliceQuality(**one) for one in row["slices"])
    return SeriesReport(**{**row, "reasons": tuple(row["reasons"]), "slices": slices})
