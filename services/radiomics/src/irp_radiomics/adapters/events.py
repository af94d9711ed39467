"""Facts that radiomics hears."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.ingest.v1.events_pb2 import ClinicalRecorded, SeriesStored
from irp_chassis.db import Database, Transaction
from irp_chassis.jobs import Job
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_from_proto
from irp_chassis.workers import in_worker
from sqlalchemy import select

from irp_radiomics.adapters.db import CASE, CLINICAL, EXTRACTION
from irp_radiomics.app.extract_features import ExtractFeatures
from irp_radiomics.domain.features import Extracted, extract

EXTRACTION_JOB = "extraction"


class WorkerExtractor:
    """See app.ports.Extractor."""

    async def extract(self, volume: bytes, mask: bytes) -> Extracted:
        """In a worker process."""
        return await in_worker(extract, volume, mask)


class Facts:
    """Handlers, one per kind of fact."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects

    async def on_project_configured(self, fact: ProjectConfigured) -> None:
        """Nothing is kept: every fact and call carries its configuration."""

    async def on_series_stored(self, fact: SeriesStored) -> None:
        """A newer volume makes features of the older one stale: its mask must be accepted anew."""
        series = fact.series
        here = (CASE.c.project == fact.project.id) & (CASE.c.series_uid == series.series_uid)
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(CASE.c.volume).where(here))).scalar()
            if known is not None and known["sha256"] != series.volume.sha256:
                await tx.execute(CASE.update().where(here).values(extracted=False, function=None))

    async def on_mask_accepted(self, fact: MaskAccepted) -> None:
        """Remember the case; extract where the automation says so."""
        row = {
            "project": fact.project.id,
            "series_uid": fact.series.series_uid,
            "patient": fact.series.patient,
            "version": fact.aggregate.version,
            "volume": dataclasses.asdict(object_ref_from_proto(fact.series.volume)),
            "mask": dataclasses.asdict(object_ref_from_proto(fact.mask)),
            "extracted": False,
            "function": None,
        }
        here = (CASE.c.project == row["project"]) & (CASE.c.series_uid == row["series_uid"])
        configuration = json.loads(await self._objects.get(object_ref_from_proto(fact.project.configuration)))
        by_itself = ((configuration.get("automation") or {}).get("extract") or {}).get("on") == "accepted"
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(CASE.c.version).where(here))).scalar()
            if known is not None and known >= fact.aggregate.version:
                return
            await tx.upsert(CASE, row, keys=("project", "series_uid"))
            if by_itself:
                await enqueue(tx, fact.project, f"{fact.series.series_uid}-{fact.aggregate.version}")

    async def on_clinical_recorded(self, fact: ClinicalRecorded) -> None:
        """Remember a patient's values; older ones are dropped."""
        row = {
            "project": fact.project.id,
            "patient": fact.patient,
            "version": fact.aggregate.version,
            "values": dict(fact.values),
            "categories": dict(fact.categories),
        }
        here = (CLINICAL.c.project == row["project"]) & (CLINICAL.c.patient == row["patient"])
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(CLINICAL.c.version).where(here))).scalar()
            if known is None or known < fact.aggregate.version:
                await tx.upsert(CLINICAL, row, keys=("project", "patient"))


async def enqueue(tx: Transaction, project: types_pb2.ProjectRef, id: str) -> None:
    """Queue an extraction; the same id is queued once."""
    row = {"state": "queued", "fraction": 0.0, "eta_s": -1.0, "series": 0, "rois": 0, "reason": ""}
    await tx.insert_once(EXTRACTION, {"project": project.id, "id": id, **row}, keys=("project", "id"))
    reference = {
        "id": project.id,
        "revision": project.revision,
        "configuration": dataclasses.asdict(object_ref_from_proto(project.configuration)),
    }
    await tx.enqueue(EXTRACTION_JOB, key=f"{project.id}/{id}", payload={"project": reference, "extraction": id})


class ExtractionJob:
    """Works on queued extractions."""

    def __init__(self, extract_features: ExtractFeatures) -> None:
        self._extract = extract_features

    async def __call__(self, job: Job) -> None:
        """May run twice."""
        payload: dict[str, Any] = job.payload
        await self._extract(payload["project"], payload["extraction"])
