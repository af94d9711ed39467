"""Frozen datasets as they lie among the objects."""

from __future__ import annotations

import asyncio

from irp_kernel import ObjectRef

from irp_training.app.ports import Objects
from irp_training.domain.datasets.dataset import Snapshot


async def read_snapshot(objects: Objects, manifest: ObjectRef) -> Snapshot:
    """A dataset's manifest, read away from the event loop: there may be thousands of patients in it.

    Raises:
        DataLoss: the bytes are no manifest.
        PatientLeak: a patient is in two splits.
    """
    return await asyncio.to_thread(Snapshot.from_manifest, await objects.get(manifest))
