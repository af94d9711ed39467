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

from irp_radiomics.adapters.db import CASE, CLINICAL, EXTRACTION, FEATURE
from irp_radiomics.app.ports import Case
from irp_radiomics.domain.features import Extracted


class Store:
    """See app.ports.Cases; and what the door reads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def waiting(self, project: str) -> Sequence[Case]:
        """See Cases.waiting."""
        query = select(CASE).where(CASE.c.project == project, CASE.c.extracted.is_(False)).order_by(CASE.c.series_uid)
        return [_case(row) for row in await self._rows(query)]

    async def keep(self, case: Case, extracted: Extracted, configuration: dict[str, Any]) -> None:
        """See Cases.keep; an older mask than the accepted one keeps nothing."""
        here = (CASE.c.project == case.project) & (CASE.c.series_uid == case.series_uid)
        function = {k: _plain(v) for k, v in dataclasses.asdict(extracted.function).items()}
        async with self._database.transaction() as tx:
            done = await tx.execute(
                CASE.update().where(here, CASE.c.version == case.version).values(extracted=True, function=function)
            )
            if not done.rowcount:
                return
            old = (FEATURE.c.project == case.project) & (FEATURE.c.series_uid == case.series_uid)
            await tx.execute(FEATURE.delete().where(old))
            rows = [
                {"project": case.project, "series_uid": case.series_uid, **dataclasses.asdict(value)}
                for value in extracted.values
            ]
            if rows:
                await tx.execute(FEATURE.insert(), rows)
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
        """The tidy table: one row per region and feature, in a stable order."""
        query = (
            select(
                FEATURE.c.project,
                CASE.c.patient,
                FEATURE.c.series_uid,
                FEATURE.c.kind,
                FEATURE.c.roi,
                FEATURE.c.feature,
                FEATURE.c.value,
                CASE.c.version.label("mask_version"),
                CASE.c.mask,
            )
            .join(CASE, (CASE.c.project == FEATURE.c.project) & (CASE.c.series_uid == FEATURE.c.series_uid))
            .where(FEATURE.c.project == project)
            .order_by(CASE.c.patient, FEATURE.c.series_uid, FEATURE.c.roi, FEATURE.c.feature)
        )
        rows = [dict(row._mapping) for row in await self._rows(query)]
        for row in rows:
            row["mask_sha256"] = row.pop("mask")["sha256"]
        return rows

    async def functions(self, project: str) -> list[tuple[str, str, dict[str, Any]]]:
        """(series, patient, function) of every extracted case."""
        query = select(CASE).where(CASE.c.project == project, CASE.c.extracted.is_(True)).order_by(CASE.c.series_uid)
        return [(row.series_uid, row.patient, row.function or {}) for row in await self._rows(query)]

    async def clinical(self, project: str) -> dict[str, dict[str, float]]:
        """Patient -> name -> number; categories become their rank among the project's."""
        rows = await self._rows(select(CLINICAL).where(CLINICAL.c.project == project))
        kinds = sorted({(n, v) for row in rows for n, v in row._mapping["categories"].items()})
        rank = {pair: float(sum(1 for other in kinds if other[0] == pair[0] and other < pair)) for pair in kinds}
        return {
            row.patient: {**row._mapping["values"], **{n: rank[n, v] for n, v in row._mapping["categories"].items()}}
            for row in rows
        }

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


def _case(row: Any) -> Case:
    return Case(
        project=row.project,
        series_uid=row.series_uid,
        patient=row.patient,
        version=row.version,
        volume=ObjectRef(**row.volume),
        mask=ObjectRef(**row.mask),
    )


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
