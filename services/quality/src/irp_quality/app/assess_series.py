"""Verb: measure a series and say what it is good for."""

from __future__ import annotations

from dataclasses import replace

from irp_kernel import Slug, Uid

from irp_quality.app.ports import Assessment, Assessments, Bytes, Clock, Documents, Measure

SOFTWARE = "quality/0.1.0"


class AssessSeries:
    """Assess the newest version of a series."""

    def __init__(
        self, volumes: Bytes, measure: Measure, documents: Documents, assessments: Assessments, clock: Clock
    ) -> None:
        self._volumes, self._measure, self._documents = volumes, measure, documents
        self._assessments, self._clock = assessments, clock

    async def __call__(self, project: Slug, uid: Uid) -> Assessment | None:
        """Measure, store, announce; None if the newest version was assessed already."""
        series = await self._assessments.pending(project, uid)
        if series is None:
            return None
        report = await self._measure(await self._volumes.get(series.volume))
        assessment = Assessment(series=series, report=report, at=self._clock(), software=SOFTWARE)
        assessment = replace(assessment, document=await self._documents.put(assessment))
        await self._assessments.save(assessment)
        return assessment
