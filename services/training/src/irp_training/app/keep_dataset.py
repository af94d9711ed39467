"""A snapshot -> a frozen dataset: its manifest among the objects, its row, and what it holds out for good."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from irp_kernel import sha256_of

from irp_training.app.ports import Objects, Store
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.datasets.placing import HELD_OUT, PARTS, Placement
from irp_training.domain.run import DatasetRow


class KeepDataset:
    """The same snapshot again is the same dataset, and nothing new is stored."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects

    async def __call__(self, snapshot: Snapshot, seen: Mapping[str, Placement], actor: str) -> DatasetRow:
        """Keep it.

        Args:
            snapshot: of a project that is known.
            seen: places of patients from which those of the snapshot were decided.
            actor: who freezes it.

        Raises:
            Aborted: places have changed since they were seen.
        """
        # Thousands of cases take a second: not on the event loop.
        dataset = await self._stored(snapshot, await asyncio.to_thread(snapshot.manifest), actor)
        async with self._store.change() as change:
            await change.settle(snapshot.project, dataset.digest, snapshot.placements(), seen)
            return await change.add_dataset(snapshot.project, dataset, snapshot.images(*HELD_OUT))

    async def _stored(self, snapshot: Snapshot, manifest: bytes, actor: str) -> DatasetRow:
        digest = sha256_of(manifest)
        ref = await self._objects.put(
            manifest,
            project=snapshot.project,
            entity="dataset",
            id=digest[:16],
            kind="manifest",
            media_type="application/json",
            extension="json",
        )
        return DatasetRow(
            digest=digest,
            manifest=ref,
            training=snapshot.count("training"),
            validation=snapshot.count("validation"),
            test=snapshot.count("test"),
            patients=patients_of(snapshot),
            rules=json.dumps(snapshot.rules.to_json(), sort_keys=True),
            actor=actor,
        )


def patients_of(snapshot: Snapshot) -> dict[str, int]:
    """Number of patients per split."""
    return {part: len(snapshot.patients(part)) for part in PARTS}
