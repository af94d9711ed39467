"""Rows of frozen datasets, of where their patients stand, and of which images they hold out."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from irp_chassis.db import Transaction
from irp_kernel.errors import Aborted
from sqlalchemy import and_, or_, select

from irp_training.adapters import db
from irp_training.adapters.documents import dataset_from_document, to_document
from irp_training.domain.datasets.case import Case
from irp_training.domain.datasets.placing import HELD_OUT, Placement
from irp_training.domain.errors import DatasetUnknown
from irp_training.domain.run import DatasetRow

LEAST_DIGITS = 8  # of a digest that is named by its beginning
SETTLED = {"placed": True, "images_kept": True}  # what is kept of a dataset beside its row


async def add_dataset(tx: Transaction, project: str, dataset: DatasetRow, held_out: Set[str]) -> DatasetRow:
    """Insert it as frozen now, with the images that it holds out, or answer the row with its digest."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    fresh = replace(dataset, created_at=at)
    row = {"project": project, "digest": dataset.digest, "document": to_document(fresh), "created_at": at}
    if await tx.insert_once(db.DATASET, {**row, **SETTLED}, keys=("project", "digest")):
        await _hold_out(tx, project, held_out)
        return fresh
    query = select(db.DATASET.c.document).where(*_this(project, dataset.digest))
    return dataset_from_document((await tx.execute(query)).scalar_one())


async def older(connection: Any, project: str) -> list[DatasetRow]:
    """Of before places, or hashes of held-out images, were kept."""
    table = db.DATASET
    lacking = or_(*(table.c[name].is_(False) for name in SETTLED))
    query = select(table.c.document).where(table.c.project == project, lacking)
    return [dataset_from_document(row) for row in (await connection.execute(query.order_by(table.c.digest))).scalars()]


async def found(connection: Any, project: str, digest: str) -> DatasetRow:
    """The one that begins so.

    Raises:
        DatasetUnknown: none, several, or too few digits to say.
    """
    rows: list[Any] = []
    if len(digest) >= LEAST_DIGITS and digest.isalnum():
        here = and_(db.DATASET.c.project == project, db.DATASET.c.digest.startswith(digest, autoescape=True))
        rows = list((await connection.execute(select(db.DATASET.c.document).where(here).limit(2))).scalars())
    if len(rows) != 1:
        raise DatasetUnknown
    return dataset_from_document(rows[0])


async def placements(connection: Any, project: str) -> dict[str, Placement]:
    """Pseudonym -> where the patient stands."""
    query = select(db.PLACEMENT).where(db.PLACEMENT.c.project == project)
    rows = (await connection.execute(query)).all()
    return {row.patient: Placement(part=row.part, site=row.site, scanner=row.scanner) for row in rows}


async def held_out_images(connection: Any, project: str) -> set[str]:
    """SHA-256 of every volume that a frozen dataset holds out."""
    table = db.HELD_OUT_IMAGE
    return set((await connection.execute(select(table.c.sha256).where(table.c.project == project))).scalars())


async def settle(
    tx: Transaction, project: str, digest: str, wanted: Mapping[str, Placement], seen: Mapping[str, Placement]
) -> None:
    """Keep places that were decided from what was `seen`.

    Raises:
        Aborted: they have changed meanwhile.
    """
    await _take_turn(tx, project)
    now = await placements(tx, project)
    if any(now.get(patient) != seen.get(patient) for patient in wanted):
        raise Aborted
    await _write(tx, project, digest, {p: one for p, one in wanted.items() if _part(now.get(p)) != one.part})


async def settle_older(
    tx: Transaction, project: str, dataset: DatasetRow, wanted: Mapping[str, Placement], held_out: Set[str]
) -> None:
    """Keep places and images of a dataset that was frozen before they were kept; held out wins over learnt from."""
    await _take_turn(tx, project)
    now = await placements(tx, project)
    moved = {
        p: one for p, one in wanted.items() if p not in now or (now[p].part not in HELD_OUT and one.part in HELD_OUT)
    }
    await _write(tx, project, dataset.digest, moved)
    await _hold_out(tx, project, held_out)
    values = {**SETTLED, "document": to_document(dataset)}
    await tx.execute(db.DATASET.update().where(*_this(project, dataset.digest)).values(**values))


async def remember_judged(tx: Transaction, project: str, case: Case) -> None:
    """Into the row of this version of the mask, if it is still the newest."""
    table = db.ACCEPTED
    here = and_(table.c.project == project, table.c.series == case.series, table.c.version == case.version)
    document = (await tx.execute(select(table.c.document).where(here))).scalar()
    if document is not None:
        judged = dict(case.judged or {})
        await tx.execute(table.update().where(here).values(document={**document, "judged": judged}))


async def remember_clinical(tx: Transaction, project: str, patient: str, version: int, sha256: str) -> None:
    """Unless a newer version is known."""
    table = db.CLINICAL
    here = and_(table.c.project == project, table.c.patient == patient)
    known = (await tx.execute(select(table.c.version).where(here))).scalar()
    if known is None or known < version:
        row = {"project": project, "patient": patient, "version": version, "sha256": sha256}
        await tx.upsert(table, row, keys=("project", "patient"))


async def clinical_hashes(connection: Any, project: str) -> dict[str, str]:
    """Pseudonym -> SHA-256 of the newest clinical values."""
    table = db.CLINICAL
    rows = (await connection.execute(select(table).where(table.c.project == project))).all()
    return {row.patient: row.sha256 for row in rows}


async def _take_turn(tx: Transaction, project: str) -> None:
    """Write the project's row as it is: of two who settle patients at once, one is Aborted (PostgreSQL)."""
    table = db.PROJECT
    await tx.execute(table.update().where(table.c.project == project).values(revision=table.c.revision))


async def _hold_out(tx: Transaction, project: str, images: Set[str]) -> None:
    """Those that are not held out yet, all at once."""
    fresh = images - await held_out_images(tx, project)
    if fresh:
        await tx.execute(db.HELD_OUT_IMAGE.insert(), [{"project": project, "sha256": one} for one in sorted(fresh)])


async def _write(tx: Transaction, project: str, digest: str, moved: Mapping[str, Placement]) -> None:
    """All at once: a first dataset may hold thousands of patients."""
    table = db.PLACEMENT
    known = await placements(tx, project)
    for patient in moved.keys() & known.keys():
        await tx.execute(table.delete().where(table.c.project == project, table.c.patient == patient))
    rows = [{"project": project, "patient": p, "dataset": digest, **asdict(one)} for p, one in moved.items()]
    if rows:
        await tx.execute(table.insert(), rows)


def _part(one: Placement | None) -> str:
    return one.part if one else ""


def _this(project: str, digest: str) -> tuple[Any, Any]:
    return db.DATASET.c.project == project, db.DATASET.c.digest == digest
