"""Worker processes for what takes CPU time, and the cache of configuration documents."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from irp_chassis.objects import Objects
from irp_chassis.workers import in_worker
from irp_deid.pixels import Region
from irp_kernel import Geometry, ObjectRef

from irp_ingest.domain import pixels
from irp_ingest.domain.check_in import check_in
from irp_ingest.domain.imported_dicom import Description, to_instances
from irp_ingest.domain.intake import Intake, Order, take_in
from irp_ingest.domain.mask import masked

CONFIGURATIONS_KEPT = 256


class WorkerIntakes:
    """See app.ports.Intakes."""

    async def take_in(self, original: bytes, order: Order) -> Intake:
        """In a worker process: the original's bytes stay in memory."""
        return await in_worker(take_in if order.declared is None else check_in, original, order)


class WorkerConverters:
    """See app.import_series.Converters."""

    async def convert(self, data: bytes, description: Description, max_bytes: int) -> list[bytes]:
        """In a worker process."""
        return await in_worker(to_instances, data, description, max_bytes)


class WorkerBuilders:
    """See app.ports.Builders."""

    async def build(self, files: Sequence[bytes], order: pixels.Order, geometry: Geometry) -> bytes:
        """In a worker process."""
        return await in_worker(pixels.build_volume, files, order, geometry)


class WorkerMasks:
    """See app.decide_quarantined.Masks."""

    async def mask(self, file: bytes, regions: Sequence[Region]) -> bytes:
        """In a worker process."""
        return await in_worker(masked, file, regions)


class CachedConfigurations:
    """See app.ports.Configurations; documents are immutable, so a cache by hash is right."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._kept: dict[str, dict[str, Any]] = {}

    async def read(self, ref: ObjectRef) -> dict[str, Any]:
        """The parsed document."""
        if ref.sha256 not in self._kept:
            if len(self._kept) >= CONFIGURATIONS_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[ref.sha256] = json.loads(await self._objects.get(ref))
        return self._kept[ref.sha256]
