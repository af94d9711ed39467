"""Facts that radiomics hears."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from irp.annotation.v1.events_pb2 import MaskAccepted
from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp.inference.v1.events_pb2 import MaskProposed
from irp.ingest.v1.events_pb2 import ClinicalRecorded, SeriesStored
from irp_chassis.db import Database, Transaction
from irp_chassis.departures import still_comes
from irp_chassis.jobs import Job
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_from_proto
from irp_chassis.workers import in_worker
from sqlalchemy import select

from irp_radiomics.adapters.db import CASE, CLINICAL, EXTRACTION, FEATURE, PROPOSAL, SERIES
from irp_radiomics.app.extract_features import ExtractFeatures
from irp_radiomics.domain.features import Extracted, extract

EXTRACTION_JOB = "extraction"


class WorkerExtractor:
    """See app.ports.Extractor."""

    async def extract(self, volume: bytes, mask: bytes, guide: bytes | None) -> Extracted:
        """In a worker process."""
        return await in_worker(extract, volume, mask, guide)


class Facts:
    """Handlers, one per kind of fact."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects

    async def on_project_configured(self, fact: ProjectConfigured) -> None:
        """Nothing is kept: every fact and call carries its configuration."""

    async def on_series_stored(self, fact: SeriesStored) -> None:
        """A newer volume makes what was extracted from the older one stale: its mask must be accepted anew."""
        project, uid, volume = fact.project.id, fact.series.series_uid, fact.series.volume.sha256
        row = {"project": project, "series_uid": uid, "version": fact.aggregate.version, "volume_sha256": volume}
        here = (SERIES.c.project == project) & (SERIES.c.series_uid == uid)
        case = (CASE.c.project == project) & (CASE.c.series_uid == uid)
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(SERIES.c.version).where(here))).scalar()
            if known is not None and known >= fact.aggregate.version:
                return
            if not await still_comes(tx, project, uid, fact.aggregate.version):
                return
            await tx.upsert(SERIES, row, keys=("project", "series_uid"))
            accepted = (await tx.execute(select(CASE.c.volume).where(case))).scalar()
            if accepted is not None and accepted["sha256"] != volume:
                await tx.execute(CASE.update().where(case).values(extracted=False, function=None, provenance=None))
                of_case = (FEATURE.c.project == project) & (FEATURE.c.series_uid == uid)
                await tx.execute(FEATURE.delete().where(of_case))

    async def on_mask_proposed(self, fact: MaskProposed) -> None:
        """A proposal may show the septum: a series that had only sectors is extracted again."""
        row = {
            "project": fact.project.id,
            "series_uid": fact.series_uid,
            "at": fact.provenance.at,
            "volume_sha256": fact.volume_sha256,
            "mask": dataclasses.asdict(object_ref_from_proto(fact.mask)),
        }
        here = (PROPOSAL.c.project == row["project"]) & (PROPOSAL.c.series_uid == row["series_uid"])
        case = (CASE.c.project == row["project"]) & (CASE.c.series_uid == row["series_uid"])
        by_itself = await self._by_itself(fact.project)
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(PROPOSAL.c.at).where(here))).scalar()
            if known is not None and known >= fact.provenance.at:
                return
            if not await still_comes(tx, fact.project.id, fact.series_uid, fact.aggregate.version):
                return
            await tx.upsert(PROPOSAL, row, keys=("project", "series_uid"))
            found = (await tx.execute(select(CASE).where(case))).first()
            if found is None or not found.extracted or (found.provenance or {}).get("septum"):
                return
            await tx.execute(CASE.update().where(case).values(extracted=False))
            if by_itself:
                await enqueue(tx, fact.project, f"{fact.series_uid}-{found.version}-{fact.mask.sha256[:12]}")

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
            "provenance": None,
        }
        here = (CASE.c.project == row["project"]) & (CASE.c.series_uid == row["series_uid"])
        by_itself = await self._by_itself(fact.project)
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(CASE.c.version).where(here))).scalar()
            if known is not None and known >= fact.aggregate.version:
                return
            await tx.upsert(CASE, row, keys=("project", "series_uid"))
            of_case = (FEATURE.c.project == row["project"]) & (FEATURE.c.series_uid == row["series_uid"])
            await tx.execute(FEATURE.delete().where(of_case))  # features of the older mask are not this one's
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

    async def _by_itself(self, project: types_pb2.ProjectRef) -> bool:
        document = json.loads(await self._objects.get(object_ref_from_proto(project.configuration)))
        declared = (document.get("automation") or {}).get("extract") or {}
        return bool(declared.get("on") == "accepted")


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
