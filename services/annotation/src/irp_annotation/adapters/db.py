"""Tables of annotation, and the ports that stand on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from irp_chassis.db import Database, Transaction
from irp_chassis.departures import add_departures, require_there, still_comes
from irp_chassis.tables import new_metadata
from irp_kernel import ObjectRef
from irp_kernel.errors import NotYetKnown
from sqlalchemy import JSON, BigInteger, Column, LargeBinary, String, Table, UniqueConstraint, func, select

from irp_annotation.adapters.rows import (
    segmentation_from_row,
    segmentation_to_row,
    series_from_row,
    series_to_row,
    structures_from_row,
    structures_to_row,
)
from irp_annotation.adapters.wire import mask_accepted
from irp_annotation.domain.errors import NewerVersionExists
from irp_annotation.domain.review import State
from irp_annotation.domain.segmentation import Segmentation
from irp_annotation.domain.series import ProjectRevision, Series
from irp_annotation.domain.structures import Structures

METADATA = new_metadata()
DEPARTURE = add_departures(METADATA)

SERIES = Table(
    "series",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("uid", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("geometry", JSON, nullable=False),
    Column("volume", JSON, nullable=False),
    Column("header", JSON, nullable=False),
    Column("instances", JSON, nullable=False),
    Column("passport", LargeBinary, nullable=False),  # irp.ingest.v1.Series as it came
)
COUNTER = Table(
    "counter",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("versions", BigInteger, nullable=False),  # segmentations so far
    Column("accepted", BigInteger, nullable=False),  # acceptances so far
)
SEGMENTATION = Table(
    "segmentation",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("series_uid", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("volume_version", BigInteger, nullable=False),
    Column("mask", JSON, nullable=False),
    Column("structures", JSON, nullable=False),
    Column("provenance", JSON, nullable=False),
    UniqueConstraint("project", "series_uid", "version", name="uq_segmentation_version"),
)
DRAWN = Table(
    "drawn",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("configuration", String(64), primary_key=True),  # SHA-256 of the document
    Column("structures", JSON, nullable=False),
)


class ProjectRows:
    """The Projects port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def structures(self, project: ProjectRevision) -> Structures | None:
        """See Projects.structures."""
        query = select(DRAWN.c.structures).where(
            DRAWN.c.project == project.id, DRAWN.c.configuration == project.configuration.sha256
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return structures_from_row(row.structures) if row else None

    async def remember(self, project: ProjectRevision, structures: Structures) -> None:
        """See Projects.remember."""
        row = {
            "project": project.id,
            "configuration": project.configuration.sha256,
            "structures": structures_to_row(structures),
        }
        async with self._database.transaction() as tx:
            await tx.insert_once(DRAWN, row, keys=("project", "configuration"))


class CatalogueRows:
    """The Catalogue port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def series(self, project: str, uid: str) -> Series | None:
        """See Catalogue.series."""
        query = select(SERIES).where(SERIES.c.project == project, SERIES.c.uid == uid)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return series_from_row(row) if row else None

    async def was_deleted(self, project: str, uid: str, version: int) -> bool:
        """See Catalogue.was_deleted."""
        gone = (DEPARTURE.c.project == project) & (DEPARTURE.c.series_uid == uid) & (DEPARTURE.c.version >= version)
        async with self._database.read() as connection:
            return (await connection.execute(select(DEPARTURE.c.version).where(gone))).first() is not None

    async def remember(self, series: Series) -> None:
        """See Catalogue.remember."""
        query = select(SERIES.c.version).where(SERIES.c.project == series.project, SERIES.c.uid == series.uid)
        async with self._database.transaction() as tx:
            known = (await tx.execute(query)).scalar() or 0
            if known < series.version and await still_comes(tx, series.project, series.uid, series.version):
                await tx.upsert(SERIES, series_to_row(series), keys=("project", "uid"))

    async def find(self, project: str, id: str) -> Segmentation | None:
        """See Catalogue.find."""
        async with self._database.read() as connection:
            row = (await connection.execute(_one(project, id))).mappings().first()
        return segmentation_from_row(row) if row else None

    async def versions(self, project: str, series_uid: str) -> Sequence[Segmentation]:
        """See Catalogue.versions."""
        query = (
            select(SEGMENTATION)
            .where(SEGMENTATION.c.project == project, SEGMENTATION.c.series_uid == series_uid)
            .order_by(SEGMENTATION.c.version)
        )
        async with self._database.read() as connection:
            return [segmentation_from_row(row) for row in (await connection.execute(query)).mappings()]

    async def add(self, draft: Segmentation, project: ProjectRevision, *, based_on: int = 0) -> Segmentation:
        """See Catalogue.add."""
        async with self._database.transaction() as tx:
            known = (await tx.execute(_one(draft.project, draft.id))).mappings().first()
            if known:
                return segmentation_from_row(known)
            await require_there(tx, draft.project, draft.series_uid, draft.volume_version)
            if based_on:
                await _require_newest(tx, draft, based_on)
            version = await _count(tx, draft, "versions")
            stored = dataclasses.replace(draft, version=version)
            await tx.execute(SEGMENTATION.insert().values(**segmentation_to_row(stored)))
            if stored.state is State.ACCEPTED:
                await _announce(tx, stored, project)
        return stored

    async def move(
        self, present: Segmentation, state: State, project: ProjectRevision, *, actor: str, at: str
    ) -> Segmentation:
        """See Catalogue.move."""
        provenance = present.provenance.with_parameters(**{f"{state}_by": actor, f"{state}_at": at})
        moved = dataclasses.replace(present, state=state, revision=present.revision + 1, provenance=provenance)
        row = segmentation_to_row(moved)
        changed = {name: row[name] for name in ("state", "revision", "provenance")}
        async with self._database.transaction() as tx:
            await require_there(tx, present.project, present.series_uid, present.volume_version)
            seen = (
                (SEGMENTATION.c.project == present.project)
                & (SEGMENTATION.c.id == present.id)
                & (SEGMENTATION.c.revision == present.revision)
            )
            if (await tx.execute(SEGMENTATION.update().where(seen).values(**changed))).rowcount != 1:
                raise NewerVersionExists("somebody reviewed it meanwhile")
            if state is State.ACCEPTED:
                await _announce(tx, moved, project)
        return moved

    async def references(self) -> Iterable[ObjectRef]:
        """Every object that a row refers to."""
        found: list[ObjectRef] = []
        async with self._database.read(at_once=True) as connection:
            found += [ObjectRef(**mask) for mask in await connection.scalars(select(SEGMENTATION.c.mask))]
            for row in await connection.execute(select(SERIES.c.volume, SERIES.c.header, SERIES.c.instances)):
                found += [ObjectRef(**ref) for ref in row]
        return found


def _one(project: str, id: str) -> Any:
    return select(SEGMENTATION).where(SEGMENTATION.c.project == project, SEGMENTATION.c.id == id)


async def _require_newest(tx: Transaction, draft: Segmentation, based_on: int) -> None:
    """Proposals may come at any time and disturb nobody; versions of other people do."""
    query = select(func.max(SEGMENTATION.c.version)).where(
        SEGMENTATION.c.project == draft.project,
        SEGMENTATION.c.series_uid == draft.series_uid,
        SEGMENTATION.c.state != State.PROPOSED.value,
    )
    newest = (await tx.execute(query)).scalar() or 0
    if newest > based_on:
        raise NewerVersionExists(newest=newest, based_on=based_on)


async def _count(tx: Transaction, segmentation: Segmentation, column: str) -> int:
    """The next number of a series: 1, 2, ..."""
    row = {"project": segmentation.project, "series_uid": segmentation.series_uid, "versions": 0, "accepted": 0}
    await tx.insert_once(COUNTER, row, keys=("project", "series_uid"))
    here = (COUNTER.c.project == row["project"]) & (COUNTER.c.series_uid == row["series_uid"])
    await tx.execute(COUNTER.update().where(here).values({column: COUNTER.c[column] + 1}))
    return int((await tx.execute(select(COUNTER.c[column]).where(here))).scalar_one())


async def _announce(tx: Transaction, accepted: Segmentation, project: ProjectRevision) -> None:
    query = select(SERIES.c.passport).where(SERIES.c.project == accepted.project, SERIES.c.uid == accepted.series_uid)
    passport = (await tx.execute(query)).scalar()
    if passport is None:
        raise NotYetKnown
    number = await _count(tx, accepted, "accepted")
    await tx.announce(mask_accepted(accepted, project, passport, number))
