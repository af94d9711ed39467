"""Rows of quality: known series, reports, ratings, forms. Wire and domain meet here and in rpc.py only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from irp.common.v1.types_pb2 import Aggregate, ProjectRef
from irp.ingest.v1.events_pb2 import SeriesStored
from irp.quality.v1.events_pb2 import QualityRated, SeriesAssessed
from irp_chassis.db import Database, Transaction
from irp_chassis.departures import add_departures, require_there, still_comes
from irp_chassis.objects import Objects
from irp_chassis.tables import new_metadata
from irp_chassis.wire import object_ref_from_proto, object_ref_to_proto
from irp_kernel import ObjectRef, Slug, Uid
from sqlalchemy import JSON, BigInteger, Column, Integer, LargeBinary, String, Table, select

from irp_quality.adapters.reports import report_from_row, report_to_row
from irp_quality.app.ports import AssembledSeries, Assessment
from irp_quality.domain.errors import QualityFormInvalid
from irp_quality.domain.rating import Question, Rating, read_form

METADATA = new_metadata()
add_departures(METADATA)

SERIES = Table(
    "series",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("uid", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("fact", LargeBinary, nullable=False),  # SeriesStored as it came
)
ASSESSMENT = Table(
    "assessment",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("uid", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("report", JSON, nullable=False),
    Column("volume", JSON, nullable=False),
    Column("document", JSON, nullable=False),
    Column("software", String(64), nullable=False),
    Column("at", String(32), nullable=False),
)
RATING = Table(
    "rating",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("uid", String(64), primary_key=True),
    Column("rater", String(128), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("stars", Integer, nullable=False),
    Column("form", JSON, nullable=False),
    Column("at", String(32), nullable=False),
)
FORM = Table(
    "form",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("sha256", String(64), nullable=False),
    Column("questions", JSON, nullable=False),
)


class AssessmentRows:
    """The Assessments port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expect(self, fact: SeriesStored) -> None:
        """Remember a series and queue its assessment; an older version changes nothing."""
        project, uid, version = fact.project.id, fact.aggregate.id, fact.aggregate.version
        async with self._database.transaction() as tx:
            known = await _version(tx, SERIES, project=project, uid=uid)
            if version > known and await still_comes(tx, project, uid, version):
                row = {"project": project, "uid": uid, "version": version, "fact": fact.SerializeToString()}
                await tx.upsert(SERIES, row, keys=("project", "uid"))
                await tx.enqueue(
                    "assessment", key=f"{project}/{uid}/{version}", payload={"project": project, "uid": uid}
                )

    async def pending(self, project: Slug, uid: Uid) -> AssembledSeries | None:
        """See Assessments.pending."""
        query = (
            select(SERIES.c.fact, SERIES.c.version, ASSESSMENT.c.version.label("assessed"))
            .outerjoin(ASSESSMENT, (ASSESSMENT.c.project == SERIES.c.project) & (ASSESSMENT.c.uid == SERIES.c.uid))
            .where(SERIES.c.project == project, SERIES.c.uid == uid)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None or (row.assessed or 0) >= row.version:
            return None
        volume = object_ref_from_proto(SeriesStored.FromString(row.fact).series.volume)
        return AssembledSeries(project=project, uid=uid, version=row.version, volume=volume)

    async def save(self, assessment: Assessment) -> None:
        """See Assessments.save."""
        series, document = assessment.series, assessment.document
        assert document is not None  # noqa: S101 - a verb stores the document first
        row = {
            "project": series.project,
            "uid": series.uid,
            "version": series.version,
            "verdict": assessment.report.verdict,
            "report": report_to_row(assessment.report),
            "volume": asdict(series.volume),
            "document": asdict(document),
            "software": assessment.software,
            "at": assessment.at,
        }
        async with self._database.transaction() as tx:
            if await _version(tx, ASSESSMENT, project=series.project, uid=series.uid) >= series.version:
                return
            known = (SERIES.c.project == series.project) & (SERIES.c.uid == series.uid)
            fact = (await tx.execute(select(SERIES.c.fact).where(known))).scalar()
            if fact is None:  # deleted while it was assessed
                return
            await tx.upsert(ASSESSMENT, row, keys=("project", "uid"))
            await tx.announce(_assessed(SeriesStored.FromString(fact), assessment, document))

    async def find(self, project: Slug, uid: Uid) -> Assessment | None:
        """See Assessments.find."""
        query = select(ASSESSMENT).where(ASSESSMENT.c.project == project, ASSESSMENT.c.uid == uid)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        return Assessment(
            series=AssembledSeries(project=project, uid=uid, version=row.version, volume=ObjectRef(**row.volume)),
            report=report_from_row(row.report),
            at=row.at,
            software=row.software,
            document=ObjectRef(**row.document),
        )

    async def references(self) -> Iterable[ObjectRef]:
        """Every report object that a row refers to."""
        async with self._database.read() as connection:
            return [ObjectRef(**document) for document in await connection.scalars(select(ASSESSMENT.c.document))]


class RatingRows:
    """The Ratings port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, project: Slug, uid: Uid, rating: Rating, *, revision: int, configuration: ObjectRef) -> int:
        """See Ratings.save."""
        where = (RATING.c.project == project) & (RATING.c.uid == uid) & (RATING.c.rater == rating.rater)
        async with self._database.transaction() as tx:
            await require_there(tx, project, uid, await _version(tx, SERIES, project=project, uid=uid))
            old = (await tx.execute(select(RATING).where(where))).first()
            if old is not None and old.stars == rating.stars and old.form == dict(rating.form):
                return int(old.version)
            version = 1 if old is None else int(old.version) + 1
            row = {"project": project, "uid": uid, **asdict(rating), "form": dict(rating.form), "version": version}
            await tx.upsert(RATING, row, keys=("project", "uid", "rater"))
            await tx.announce(
                QualityRated(
                    project=ProjectRef(id=project, revision=revision, configuration=object_ref_to_proto(configuration)),
                    aggregate=Aggregate(id=f"{uid}/{rating.rater}", version=version),
                    series_uid=uid,
                    stars=rating.stars,
                    rater=rating.rater,
                )
            )
        return version

    async def of(self, project: Slug, uid: Uid) -> Sequence[Rating]:
        """See Ratings.of."""
        query = select(RATING).where(RATING.c.project == project, RATING.c.uid == uid).order_by(RATING.c.at)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Rating(rater=r.rater, stars=r.stars, form=r.form, at=r.at, version=r.version) for r in rows]


class FormRows:
    """The Forms port: a revision is fetched once, by its hash."""

    def __init__(self, database: Database, objects: Objects) -> None:
        self._database, self._objects = database, objects

    async def of(self, project: Slug, revision: int, configuration: ObjectRef) -> tuple[Question, ...]:
        """See Forms.of."""
        where = (FORM.c.project == project) & (FORM.c.revision == revision) & (FORM.c.sha256 == configuration.sha256)
        async with self._database.read() as connection:
            questions = (await connection.execute(select(FORM.c.questions).where(where))).scalar()
        if questions is not None:
            return tuple(_question(entry) for entry in questions)
        form = read_form(_document(await self._objects.get(configuration)))
        row = {
            "project": project,
            "revision": revision,
            "sha256": configuration.sha256,
            "questions": [asdict(question) for question in form],
        }
        async with self._database.transaction() as tx:
            await tx.upsert(FORM, row, keys=("project", "revision"))
        return form


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError as cause:
        raise QualityFormInvalid from cause
    if not isinstance(document, dict):
        raise QualityFormInvalid
    return document


def _question(entry: Mapping[str, Any]) -> Question:
    return Question(**{**entry, "options": tuple(entry["options"])})


async def _version(tx: Transaction, table: Table, *, project: str, uid: str) -> int:
    query = select(table.c.version).where(table.c.project == project, table.c.uid == uid)
    return int((await tx.execute(query)).scalar() or 0)


def _assessed(stored: SeriesStored, assessment: Assessment, document: ObjectRef) -> SeriesAssessed:
    return SeriesAssessed(
        project=stored.project,
        aggregate=stored.aggregate,
        series=stored.series,
        verdict=assessment.report.verdict,
        report=object_ref_to_proto(document),
        parameters=assessment.report.parameters,
    )
