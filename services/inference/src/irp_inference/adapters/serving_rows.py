"""What this room remembers of models, so that a restart comes back with the same ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from irp.inference.v1.events_pb2 import ServingConfigured
from irp_chassis.db import Database, Transaction
from irp_kernel import ObjectRef
from irp_kernel.errors import ModelUnknown
from sqlalchemy import func, select

from irp_inference.adapters.db import CHAMPION, KEPT, MODEL, SERVING
from irp_inference.domain.residency import Key
from irp_inference.domain.serving import Policy

PROMOTION = "promotion"  # stands where the name of an operator stands


@dataclass(frozen=True, slots=True)
class Known:
    """A registered version: where its bundle lies, and the digest and the signature that the registry gave it."""

    key: Key
    bundle: ObjectRef
    digest: str
    signature: str = ""


async def say(tx: Transaction, name: str, policy: Policy, actor: str) -> int:
    """Keep a policy and announce it to every replica; its revision."""
    known = (await tx.execute(select(SERVING.c.revision).where(SERVING.c.name == name))).scalar() or 0
    row = {"name": name, "revision": known + 1, "policy": policy.to_json()}
    await tx.upsert(SERVING, row, keys=("name",))
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    fact = ServingConfigured(name=name, policy=json.dumps(policy.to_json()), actor=actor, at=at)
    fact.aggregate.id, fact.aggregate.version = name, known + 1
    await tx.announce(fact)
    return known + 1


async def end_trials(tx: Transaction, name: str, champion: int) -> None:
    """End the canary and the shadow that a promotion has decided."""
    row = (await tx.execute(select(SERVING.c.policy).where(SERVING.c.name == name))).scalar()
    policy = Policy.from_json(row or {})
    left = policy.once_promoted(champion)
    if left != policy:
        await say(tx, name, left, PROMOTION)


class ServingRows:
    """Reads; what is written is written by the handlers of facts and by the serving door."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def model(self, key: Key) -> Known | None:
        """A registered version, or None."""
        query = select(MODEL).where(MODEL.c.name == key[0], MODEL.c.version == key[1])
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else Known(key, ObjectRef(**row.bundle), row.digest, row.signature)

    async def number_of(self, name: str, digest: str) -> int:
        """The version whose bundle has this SHA-256, as hex, or ModelUnknown."""
        query = select(MODEL.c.version).where(MODEL.c.name == name, MODEL.c.digest == digest)
        async with self._database.read() as connection:
            found: int | None = (await connection.execute(query)).scalar()
        if found is None:
            raise ModelUnknown(name=name, digest=digest)
        return found

    async def versions(self) -> list[Key]:
        """Every registered version."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(MODEL.c.name, MODEL.c.version))).all()
        return sorted((row.name, row.version) for row in rows)

    async def champions(self) -> dict[str, int]:
        """Version of each model's champion."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(CHAMPION))).all()
        return {row.name: row.version for row in rows}

    async def newest_and_previous(self, name: str) -> tuple[int, int]:
        """Highest version of a model, and the champion before its champion; 0 = none."""
        newest = select(func.max(MODEL.c.version)).where(MODEL.c.name == name)
        previous = select(CHAMPION.c.previous).where(CHAMPION.c.name == name)
        async with self._database.read(at_once=True) as connection:
            return (await connection.execute(newest)).scalar() or 0, (await connection.execute(previous)).scalar() or 0

    async def policies(self) -> dict[str, tuple[Policy, int]]:
        """What operators said, with its revision."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(SERVING))).all()
        return {row.name: (Policy.from_json(row.policy), row.revision) for row in rows}

    async def kept(self) -> set[Key]:
        """Versions that somebody loaded by name."""
        async with self._database.read() as connection:
            return {(row.name, row.version) for row in (await connection.execute(select(KEPT))).all()}

    async def keep(self, key: Key, wanted: bool) -> None:
        """Somebody loaded, or unloaded, a version by name."""
        row = {"name": key[0], "version": key[1]}
        async with self._database.transaction() as tx:
            if wanted:
                await tx.upsert(KEPT, row, keys=("name", "version"))
            else:
                await tx.execute(KEPT.delete().where(KEPT.c.name == key[0], KEPT.c.version == key[1]))
