"""Reduced precision where the guard allows it: its words as rows, and engines that open a model accordingly."""

from __future__ import annotations

import dataclasses

import structlog
from irp.training.v1.events_pb2 import PrecisionGuarded
from irp_bundle import Bundle
from irp_chassis.db import Database
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_from_proto
from irp_kernel import ObjectRef
from irp_kernel.errors import IrpError
from sqlalchemy import select

from irp_inference.adapters.db import GUARDED
from irp_inference.adapters.engines import Engines, ProcessNets
from irp_inference.adapters.shelf import Shelf
from irp_inference.domain.precision import Guarded, Wish, choose

KEYS = ("name", "version", "precision")


class GuardedRows:
    """What the guard said, as this room has heard it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, digest: str) -> list[Guarded]:
        """Every word on a bundle, whatever versions it is."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(GUARDED).where(GUARDED.c.digest == digest))).all()
        return [
            Guarded(
                precision=row.precision,
                accepted=row.accepted,
                engine=row.engine,
                speedup=row.speedup,
                artefact=ObjectRef(**row.artefact) if row.artefact else None,
            )
            for row in rows
        ]

    async def remember(self, fact: PrecisionGuarded) -> None:
        """Keep the newest word on a precision of a version."""
        row = {
            "name": fact.name,
            "version": fact.model.version,
            "precision": fact.precision,
            "digest": fact.model.digest,
            "aggregate_version": fact.aggregate.version,
            "accepted": fact.accepted,
            "engine": fact.engine,
            "speedup": fact.speedup,
            "artefact": _artefact(fact),
        }
        here = [GUARDED.c[key] == row[key] for key in KEYS]
        async with self._database.transaction() as tx:
            known = (await tx.execute(select(GUARDED.c.aggregate_version).where(*here))).scalar()
            if known is None or known < fact.aggregate.version:
                await tx.upsert(GUARDED, row, keys=KEYS)


class GuardedEngines:
    """Opens models at the precision that was asked for, where it was accepted; in float32 everywhere else.

    Args:
        wish: the setting.
    """

    def __init__(self, engines: Engines, rows: GuardedRows, objects: Objects, wish: Wish) -> None:
        self._engines, self._rows, self._objects, self.wish = engines, rows, objects, wish
        self._log = structlog.get_logger(part="precision")

    async def open(self, data: bytes, bundle: Bundle) -> ProcessNets:
        """See Engines.open. What cannot be loaded at its reduced precision is opened in float32, which is said."""
        said = await self._rows.of(bundle.digest) if self.wish != "float32" else []
        chosen, note = choose(self.wish, said, self._engines.engine)
        if chosen is not None:
            try:
                reduced = await self._objects.get(chosen.artefact) if chosen.artefact else None
                return await self._engines.open(data, bundle, chosen.precision, reduced)
            except IrpError as error:
                note = f"{chosen.precision} was accepted, and could not be loaded: {error.reason}"
        nets = await self._engines.open(data, bundle)
        if note:
            self._log.warning("served_in_float32", digest=bundle.digest, why=note)
            nets.precision_note = note
        return nets


class PrecisionFacts:
    """Handlers of the guard's word."""

    def __init__(self, rows: GuardedRows, opens: GuardedEngines, shelf: Shelf) -> None:
        self._rows, self._opens, self._shelf = rows, opens, shelf

    async def on_precision_guarded(self, fact: PrecisionGuarded) -> None:
        """Remember it."""
        await self._rows.remember(fact)

    async def hear_precision_guarded(self, fact: PrecisionGuarded) -> None:
        """Every process opens the version anew, if it has it and cares; the rows may not know it yet."""
        await self._rows.remember(fact)
        if self._opens.wish != "float32":
            await self._shelf.renew((fact.name, fact.model.version))


def _artefact(fact: PrecisionGuarded) -> dict[str, object] | None:
    return dataclasses.asdict(object_ref_from_proto(fact.artefact)) if fact.HasField("artefact") else None
