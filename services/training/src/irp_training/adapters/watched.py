"""Rows and facts about what is watched - runs, versions, proposals - within one transaction: part of `SqlChange`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from irp.common.v1 import types_pb2
from irp.training.v1 import events_pb2
from irp_chassis.db import Transaction
from irp_chassis.departures import still_comes
from sqlalchemy import select

from irp_training.adapters import db
from irp_training.adapters.documents import (
    correction_from_document,
    drift_from_document,
    proposal_from_document,
    to_document,
    validation_from_document,
)
from irp_training.adapters.wire import model_ref_to_proto
from irp_training.domain.drift.blocks import Drift, Group
from irp_training.domain.drift.correction import Correction, Proposal
from irp_training.domain.errors import ValidationUnknown
from irp_training.domain.run import KeptOverlay, Run
from irp_training.domain.validations.certificate import Validation

CORRECTION_JOB, VALIDATION_JOB = "correction", "model-validation"


class WatchedRows:
    """See app.ports.Change."""

    _tx: Transaction

    async def add_overlays(self, run: Run, overlays: Sequence[KeptOverlay]) -> None:
        """Add pictures; a repeated epoch overwrites its own."""
        for overlay in overlays:
            row = {"project": run.project, "run": run.id, "epoch": overlay.epoch, "which": overlay.which}
            keys = tuple(row)
            await self._tx.upsert(db.OVERLAY, {**row, "document": to_document(overlay)}, keys=keys)

    async def add_validation(self, validation: Validation) -> Validation:
        """Add and queue a validation, or answer the one that is under way or has succeeded."""
        known = (await self._tx.execute(_validation_query(validation).with_for_update())).scalar()
        if known is not None:
            before = validation_from_document(known)
            if before.state != "failed":
                return before
            validation = replace(validation, attempt=before.attempt + 1, version=before.version)
        await self.save_validation(validation)
        ref = validation.model
        payload = {"name": ref.name, "version": ref.version, "id": validation.id}
        await self._tx.enqueue(VALIDATION_JOB, key=f"{ref}/{validation.id}/{validation.attempt}", payload=payload)
        return validation

    async def lock_validation(self, validation: Validation) -> Validation:
        """Read a validation for changing it."""
        document = (await self._tx.execute(_validation_query(validation).with_for_update())).scalar()
        if document is None:
            raise ValidationUnknown
        return validation_from_document(document)

    async def save_validation(self, validation: Validation) -> None:
        """Write a changed validation; its version grows."""
        grown = replace(validation, version=validation.version + 1)
        row = {"name": grown.model.name, "model_version": grown.model.version, "id": grown.id}
        await self._tx.upsert(db.VALIDATION, {**row, "document": to_document(grown)}, keys=tuple(row))

    async def remember_proposal(self, proposal: Proposal) -> None:
        """Keep the newest of a model for a series, unless the series has left."""
        row = {"project": proposal.project, "series": proposal.series, "name": proposal.model.name}
        table, keys = db.PROPOSAL, tuple(row)
        query = select(table.c.version).where(*(table.c[key] == value for key, value in row.items()))
        known = (await self._tx.execute(query)).scalar()
        if known is not None and known > proposal.version:
            return
        if await still_comes(self._tx, proposal.project, proposal.series, proposal.version):
            row |= {"version": proposal.version, "document": to_document(proposal)}  # type: ignore[dict-item]
            await self._tx.upsert(table, row, keys=keys)

    async def proposals(self, project: str, series: str) -> list[Proposal]:
        """The newest of every model for a series."""
        table = db.PROPOSAL
        query = select(table.c.document).where(table.c.project == project, table.c.series == series)
        return [proposal_from_document(row) for row in (await self._tx.execute(query)).scalars()]

    async def add_correction(self, correction: Correction, mask_version: int) -> None:
        """Add it or bring it up to date, and queue its comparison."""
        query = select(db.CORRECTION.c.at).where(*self._here(correction))
        first = (await self._tx.execute(query)).scalar()
        await self.save_correction(replace(correction, at=first or correction.at))
        ref = correction.model
        payload = {"project": correction.project, "series": correction.series, "name": ref.name, "version": ref.version}
        key = f"{correction.project}/{correction.series}/{ref}/{mask_version}"
        await self._tx.enqueue(CORRECTION_JOB, key=key, payload=payload)

    async def lock_correction(self, correction: Correction) -> Correction | None:
        """Read it for changing it; None if it has left."""
        query = select(db.CORRECTION.c.document).where(*self._here(correction)).with_for_update()
        document = (await self._tx.execute(query)).scalar()
        return correction_from_document(document) if document else None

    async def save_correction(self, correction: Correction) -> None:
        """Write it."""
        keys = _correction_keys(correction)
        row = {**keys, "at": correction.at, "document": to_document(correction)}
        await self._tx.upsert(db.CORRECTION, row, keys=tuple(keys))

    async def corrections(self, name: str, version: int) -> list[Correction]:
        """Of one version of a model, oldest first; the version's row is the lock of its statistics."""
        model, table = db.MODEL, db.CORRECTION
        lock = select(model.c.digest).where(model.c.name == name, model.c.version == version).with_for_update()
        await self._tx.execute(lock)
        query = select(table.c.document).where(table.c.name == name, table.c.model_version == version)
        rows = (await self._tx.execute(query.order_by(table.c.at, table.c.project, table.c.series))).scalars()
        return [correction_from_document(row) for row in rows]

    async def drifts(self, name: str, version: int) -> dict[Group, Drift]:
        """What is known of a version's groups."""
        table = db.DRIFT
        query = select(table.c.document).where(table.c.name == name, table.c.model_version == version)
        found = [drift_from_document(row) for row in (await self._tx.execute(query)).scalars()]
        return {(one.by, one.value): one for one in found}

    async def save_drift(self, drift: Drift) -> None:
        """Write what is known of a group."""
        keys = {"name": drift.model.name, "model_version": drift.model.version, "by": drift.by, "value": drift.value}
        await self._tx.upsert(db.DRIFT, {**keys, "document": to_document(drift)}, keys=tuple(keys))

    async def announce_drift(self, drift: Drift) -> None:
        """ModelDrifted."""
        fact = events_pb2.ModelDrifted(
            name=drift.model.name,
            aggregate=types_pb2.Aggregate(id=f"{drift.model}/{drift.by}/{drift.value}", version=drift.tested_cases),
            model=model_ref_to_proto(drift.model),
            by=drift.by,
            value=drift.value,
            reference=drift.reference,
            recent=drift.recent,
            p_value=drift.p_value,
        )
        await self._tx.announce(fact)

    @staticmethod
    def _here(correction: Correction) -> list[Any]:
        return [db.CORRECTION.c[key] == value for key, value in _correction_keys(correction).items()]


def _correction_keys(correction: Correction) -> dict[str, Any]:
    return {
        "project": correction.project,
        "series": correction.series,
        "name": correction.model.name,
        "model_version": correction.model.version,
    }


def _validation_query(validation: Validation) -> Any:
    table, ref = db.VALIDATION, validation.model
    here = (table.c.name == ref.name, table.c.model_version == ref.version, table.c.id == validation.id)
    return select(table.c.document).where(*here)
