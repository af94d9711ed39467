"""Rows of versions, of how they stood before the gate, and of who was the champion; each with its fact."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import events_pb2
from irp_chassis.db import Transaction
from irp_chassis.wire import object_ref_to_proto
from irp_kernel.errors import Aborted
from sqlalchemy import Table, func, select

from irp_training.adapters import db
from irp_training.adapters.documents import candidacy_from_document, model_from_document, to_document
from irp_training.adapters.wire import model_ref_to_proto
from irp_training.domain.registry.candidacy import Candidacy
from irp_training.domain.registry.registry import Model, Promotion, previous
from irp_training.domain.run import ModelRef

Sign = Callable[[Model, bool], str]  # version, registered just now -> compact JWS of what the registry says of it


def unsigned(model: Model, fresh: bool) -> str:
    """Where the registry has no key."""
    return ""


async def add_model(tx: Transaction, model: Model, sign: Sign) -> Model:
    """Number, sign, insert and announce it, or answer the version with its name and digest."""
    table, name = db.MODEL, model.ref.name
    known = await _one(tx, select(table.c.document).where(table.c.name == name, table.c.digest == model.ref.digest))
    if known is not None:
        return model_from_document(known)
    highest = await _one(tx, select(func.max(table.c.version)).where(table.c.name == name))
    numbered = replace(model, ref=replace(model.ref, version=int(highest or 0) + 1))
    signed = replace(numbered, signature=sign(numbered, True))
    await _insert(tx, table, _model_row(signed), keys=("name", "version"))
    await _announce(tx, signed)
    return signed


async def sign_model(tx: Transaction, model: Model, sign: Sign) -> None:
    """Sign a version that is there, and announce it once more."""
    signed = replace(model, signature=sign(model, False))
    await tx.upsert(db.MODEL, _model_row(signed), keys=("name", "version"))
    await _announce(tx, signed)


async def add_promotion(tx: Transaction, model: Model, promotion: Promotion) -> None:
    """Insert and announce it."""
    row = {
        "name": model.ref.name,
        "sequence": promotion.sequence,
        "version": promotion.version,
        "kind": promotion.kind,
        "actor": promotion.actor,
        "at": promotion.at,
        "reason": promotion.reason,
    }
    await _insert(tx, db.PROMOTION, row, keys=("name", "sequence"))
    await tx.announce(
        events_pb2.ModelPromoted(
            name=model.ref.name,
            aggregate=types_pb2.Aggregate(id=model.ref.name, version=promotion.sequence),
            model=model_ref_to_proto(model.ref),
            bundle=object_ref_to_proto(model.bundle),
            signature=model.signature,
            previous=previous(await history(tx.connection, model.ref.name)) or 0,
        )
    )


async def history(connection: Any, name: str) -> list[Promotion]:
    """Promotions and rollbacks, oldest first."""
    query = select(db.PROMOTION).where(db.PROMOTION.c.name == name).order_by(db.PROMOTION.c.sequence)
    rows = (await connection.execute(query)).all()
    return [Promotion(row.sequence, row.version, row.kind, row.actor, row.at, row.reason) for row in rows]


async def add_candidacy(tx: Transaction, candidacy: Candidacy) -> Candidacy:
    """Number and insert it, or answer the latest one of its version if that says the same."""
    latest = await lock_candidacy(tx, candidacy.model)
    if latest is not None and latest.is_again(candidacy):
        return latest
    table = db.CANDIDACY
    highest = await _one(tx, select(func.max(table.c.number)).where(table.c.name == candidacy.model.name))
    numbered = replace(candidacy, number=int(highest or 0) + 1)
    await _insert(tx, table, _candidacy_row(numbered), keys=("name", "number"))
    return numbered


async def lock_candidacy(tx: Transaction, model: ModelRef) -> Candidacy | None:
    """The latest one of a version, for changing it."""
    table = db.CANDIDACY
    query = select(table.c.document).where(table.c.name == model.name, table.c.version == model.version)
    document = await _one(tx, query.order_by(table.c.number.desc()).limit(1).with_for_update())
    return candidacy_from_document(document) if document else None


async def save_candidacy(tx: Transaction, candidacy: Candidacy) -> None:
    """Write a changed one."""
    await tx.upsert(db.CANDIDACY, _candidacy_row(candidacy), keys=("name", "number"))


async def candidacies(connection: Any, name: str) -> list[Candidacy]:
    """Of a model, or of all (empty), oldest first."""
    query = select(db.CANDIDACY.c.document).order_by(db.CANDIDACY.c.name, db.CANDIDACY.c.number)
    if name:
        query = query.where(db.CANDIDACY.c.name == name)
    return [candidacy_from_document(row) for row in (await connection.execute(query)).scalars()]


async def waiting(connection: Any, name: str) -> set[int]:
    """Versions whose latest candidacy waits for a second person."""
    table = db.CANDIDACY
    latest = select(func.max(table.c.number)).where(table.c.name == name).group_by(table.c.version)
    query = select(table.c.version, table.c.document["state"].as_string().label("state"))
    rows = await connection.execute(query.where(table.c.name == name, table.c.number.in_(latest)))
    return {row.version for row in rows if row.state == "pending"}


async def _announce(tx: Transaction, model: Model) -> None:
    await tx.announce(
        events_pb2.ModelRegistered(
            name=model.ref.name,
            aggregate=types_pb2.Aggregate(id=model.ref.name, version=model.ref.version),
            model=model_ref_to_proto(model.ref),
            bundle=object_ref_to_proto(model.bundle),
            signature=model.signature,
        )
    )


async def _insert(tx: Transaction, table: Table, row: dict[str, Any], *, keys: tuple[str, str]) -> None:
    """Insert a row under the next number; Aborted if another replica gave it away meanwhile (PostgreSQL)."""
    if not await tx.insert_once(table, row, keys=keys):
        raise Aborted


async def _one(tx: Transaction, query: Any) -> Any:
    return (await tx.execute(query)).scalar()


def _candidacy_row(candidacy: Candidacy) -> dict[str, Any]:
    return {
        "name": candidacy.model.name,
        "number": candidacy.number,
        "version": candidacy.model.version,
        "document": to_document(candidacy),
    }


def _model_row(model: Model) -> dict[str, Any]:
    return {
        "name": model.ref.name,
        "version": model.ref.version,
        "digest": model.ref.digest,
        "created_at": model.created_at,
        "document": to_document(model),
    }
