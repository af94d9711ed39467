"""Facts that quality reads, and the job they become."""

from __future__ import annotations

import time
from typing import Any

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.ingest.v1.events_pb2 import SeriesStored
from irp_chassis.db import Database
from irp_chassis.jobs import Job
from irp_chassis.wire import project_ref_from_proto
from irp_kernel import Slug, Uid

from irp_quality.adapters.db import AssessmentRows, FormRows
from irp_quality.app.assess_series import AssessSeries


class Events:
    """Handlers: the fact becomes a row and a job at once; the job does the work and survives a killed process."""

    def __init__(self, database: Database, forms: FormRows, assess: AssessSeries, log: Any) -> None:
        self._rows, self._forms, self._assess, self._log = AssessmentRows(database), forms, assess, log

    async def on_series_stored(self, fact: SeriesStored) -> None:
        """A series is complete: queue its assessment."""
        await self._rows.expect(fact)

    async def on_project_configured(self, fact: ProjectConfigured) -> None:
        """Know the form before the first rating."""
        project = project_ref_from_proto(fact.project)
        await self._forms.of(project.id, project.revision, project.configuration)

    async def work(self, job: Job) -> None:
        """Assess one series."""
        began = time.monotonic()
        done = await self._assess(Slug(job.payload["project"]), Uid(job.payload["uid"]))
        if done is not None:
            ms = round((time.monotonic() - began) * 1000)
            self._log.info(
                "series_assessed",
                series=done.series.uid,
                version=done.series.version,
                verdict=done.report.verdict,
                ms=ms,
            )
