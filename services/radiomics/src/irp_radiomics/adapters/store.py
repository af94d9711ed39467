"""Radiomics' rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from irp.common.v1 import types_pb2
from irp.radiomics.v1.events_pb2 import FeaturesExtracted
from irp_chassis.db import Database
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import ObjectRef
from sqlalchemy import select

from irp_radiomics.adapters.db import CASE, CLINICAL, EXTRACTION, FEATURE, PROPOSAL, SERIES
from irp_radiomics.app.ports import Case
from irp_radiomics.domain.features import PYRADIOMICS_VERSION, SETTINGS_HASH, Extracted
from irp_radiomics.domain.ibsi import ibsi_code

SOFTWARE = "radiomics/0.1.0"
ROWS_AT_ONCE = 2000  # rows per INSERT
PATIENT_LVEF = "LVEF from masks (%)"


class Store:
    """See app.ports.Cases; and what the door reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, project: str) -> Sequence[Case]:
        """See Cases.waiting."""
        of_series = (SERIES.c.project == CASE.c.project) & (SERIES.c.series_uid == CASE.c.series_uid)
        proposed = (PROPOSAL.c.project == CASE.c.project) & (PROPOSAL.c.series_uid == CASE.c.series_uid)
        columns = (CASE, SERIES.c.volume_sha256, PROPOSAL.c.mask.label("guide"), PROPOSAL.c.volume_sha256.label("seen"))
        query = (
            select(*columns)
            .select_from(CASE)
            .outerjoin(SERIES, of_series)
            .outerjoin(PROPOSAL, proposed)
            .where(CASE.c.project == project, CASE.c.extracted.is_(False))
            .order_by(CASE.c.series_uid)
        )
        rows = await self._rows(query)
        return [_case(row) for row in rows if row.volume_sha256 in {None, row.volume["sha256"]}]

    async def keep(self, case: Case, extracted: Extracted, configuration: dict[str, Any]) -> None:
        """See Cases.keep; an older mask than the accepted one keeps nothing."""
        here = (CASE.c.project == case.project) & (CASE.c.series_uid == case.series_uid)
        found = {
            "extracted": True,
            "function": {k: _plain(v) for k, v in dataclasses.asdict(extracted.function).items()},
            "provenance": _provenance(case, extracted),
        }
        async with self._database.transaction() as tx:
            done = await tx.execute(CASE.update().where(here, CASE.c.version == case.version).values(**found))
            if not done.rowcount:
                return
            old = (FEATURE.c.project == case.project) & (FEATURE.c.series_uid == case.series_uid)
            await tx.execute(FEATURE.delete().where(old))
            rows = [
                {"project": case.project, "series_uid": case.series_uid, **dataclasses.asdict(value)}
                for value in extracted.values
            ]
            for start in range(0, len(rows), ROWS_AT_ONCE):
                await tx.execute(FEATURE.insert(), rows[start : start + ROWS_AT_ONCE])
            fact = FeaturesExtracted(series_uid=case.series_uid, features=len(rows), project=project_ref(configuration))
            fact.rois = len({row["roi"] for row in rows})
            fact.aggregate.id, fact.aggregate.version = case.series_uid, case.version
            await tx.announce(fact)

    async def progress(self, project: str, extraction: str, **values: Any) -> None:
        """See Cases.progress."""
        async with self._database.transaction() as tx:
            await tx.execute(
                EXTRACTION.update()
                .where(EXTRACTION.c.project == project, EXTRACTION.c.id == extraction)
                .values(**values)
            )

    async def extraction(self, project: str, id: str) -> Any | None:
        """Row of an extraction."""
        rows = await self._rows(select(EXTRACTION).where(EXTRACTION.c.project == project, EXTRACTION.c.id == id))
        return rows[0] if rows else None

    async def table(self, project: str) -> list[dict[str, Any]]:
        """The tidy table: one row per region and feature, in a stable order, with what each value came from."""
        query = (
            select(FEATURE, CASE.c.patient, CASE.c.version, CASE.c.provenance)
            .join(CASE, (CASE.c.project == FEATURE.c.project) & (CASE.c.series_uid == FEATURE.c.series_uid))
            .where(FEATURE.c.project == project)
            .order_by(CASE.c.patient, FEATURE.c.series_uid, FEATURE.c.kind, FEATURE.c.roi, FEATURE.c.feature)
        )
        return [_tidy(row) for row in await self._rows(query)]

    async def functions(self, project: str) -> list[tuple[str, str, dict[str, Any]]]:
        """(series, patient, function) of every extracted case."""
        query = select(CASE).where(CASE.c.project == project, CASE.c.function.is_not(None)).order_by(CASE.c.series_uid)
        return [(row.series_uid, row.patient, row.function) for row in await self._rows(query)]

    async def clinical(self, project: str) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, str]]]:
        """Patient -> name -> number, with the ejection fraction from the masks; patient -> name -> word."""
        rows = await self._rows(select(CLINICAL).where(CLINICAL.c.project == project))
        numbers = {row.patient: dict(row._mapping["values"]) for row in rows}
        for _, patient, function in await self.functions(project):
            if function.get("lvef_percent") is not None:
                numbers.setdefault(patient, {})[PATIENT_LVEF] = function["lvef_percent"]
        return numbers, {row.patient: dict(row.categories) for row in rows}

    async def references(self) -> list[ObjectRef]:
        """Objects that rows refer to."""
        rows = await self._rows(select(CASE))
        return [ObjectRef(**ref) for row in rows for ref in (row.volume, row.mask)]

    async def _rows(self, query: Any) -> list[Any]:
        async with self._database.read() as connection:
            return list((await connection.execute(query)).all())


def project_ref(found: dict[str, Any]) -> types_pb2.ProjectRef:
    """JSON of a job -> message."""
    return types_pb2.ProjectRef(
        id=found["id"],
        revision=found["revision"],
        configuration=object_ref_to_proto(ObjectRef(**found["configuration"])),
    )


def _tidy(row: Any) -> dict[str, Any]:
    filter_name = row.feature.rsplit("_", 2)[0]
    return {
        "project": row.project,
        "patient": row.patient,
        "series_uid": row.series_uid,
        "mask_version": row.version,
        "roi_kind": row.kind,
        "roi": row.roi,
        "feature": row.feature,
        "filter": filter_name,
        "ibsi": ibsi_code(row.feature),
        "value": row.value,
        **row.provenance,
    }


def _provenance(case: Case, extracted: Extracted) -> dict[str, Any]:
    return {
        "frame": extracted.frame,
        "septum": extracted.septum,
        "note": extracted.note,
        "mask_sha256": case.mask.sha256,
        "volume_sha256": case.volume.sha256,
        "septum_mask_sha256": case.guide.sha256 if case.guide and extracted.septum == "proposed mask" else "",
        "pyradiomics_version": PYRADIOMICS_VERSION,
        "settings_sha256": SETTINGS_HASH,
        "software": SOFTWARE,
    }


def _case(row: Any) -> Case:
    return Case(
        project=row.project,
        series_uid=row.series_uid,
        patient=row.patient,
        version=row.version,
        volume=ObjectRef(**row.volume),
        mask=ObjectRef(**row.mask),
        guide=ObjectRef(**row.guide) if row.guide and row.seen == row.volume["sha256"] else None,
    )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
