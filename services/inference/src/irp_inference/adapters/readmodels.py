"""What this room knows of series and volumes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from irp_chassis.db import Database
from irp_chassis.objects import Objects
from irp_kernel import ObjectRef, Volume, decode_volume
from sqlalchemy import bindparam, select

from irp_inference.adapters.db import SERIES
from irp_inference.app.ports import SeriesKnown
from irp_inference.domain.cache import BytesBoundCache

CONFIGURATIONS_BYTES = 16 << 20
# Made once: this is read for every slice that is asked for, and to make it takes as long as to read.
ONE = select(SERIES).where(SERIES.c.project == bindparam("project"), SERIES.c.uid == bindparam("uid"))


class SqlSeries:
    """See app.ports.Series."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, project: str, uid: str) -> SeriesKnown | None:
        """A series, or None."""
        async with self._database.read() as connection:
            row = (await connection.execute(ONE, {"project": project, "uid": uid})).first()
        if row is None:
            return None
        return SeriesKnown(
            project=project,
            uid=uid,
            version=row.version,
            volume=ObjectRef(**row.volume),
            sequence_class=row.sequence_class,
        )


class CachedVolumes:
    """See app.ports.Volumes; several requests for the same volume read it once."""

    def __init__(self, objects: Objects, limit: int) -> None:
        self._objects = objects
        self._cache: BytesBoundCache[Volume] = BytesBoundCache(limit)
        self._reading: dict[str, asyncio.Task[Volume]] = {}

    async def get(self, ref: ObjectRef) -> Volume:
        """Read, verify, decode; or remember."""
        known = self._cache.get(ref.sha256)
        if known is not None:
            return known
        task = self._reading.get(ref.sha256)
        if task is None:
            task = self._reading[ref.sha256] = asyncio.create_task(self._read(ref))
            task.add_done_callback(lambda _: self._reading.pop(ref.sha256, None))
        return await asyncio.shield(task)

    async def _read(self, ref: ObjectRef) -> Volume:
        volume = await asyncio.to_thread(decode_volume, await self._objects.get(ref))
        self._cache.put(ref.sha256, volume, volume.array.nbytes)
        return volume


class CachedConfigurations:
    """Configuration documents by reference."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._cache: BytesBoundCache[dict[str, Any]] = BytesBoundCache(CONFIGURATIONS_BYTES)

    async def read(self, ref: ObjectRef) -> dict[str, Any]:
        """The parsed document."""
        known = self._cache.get(ref.sha256)
        if known is None:
            known = json.loads(await self._objects.get(ref))
            self._cache.put(ref.sha256, known, ref.size)
        return known
