"""Datasets of before places of patients, or hashes of held-out images, were kept hold out, too."""

from __future__ import annotations

from dataclasses import replace

from irp_training.app.keep_dataset import patients_of
from irp_training.app.ports import Objects, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.datasets.placing import HELD_OUT


class SettleOlder:
    """Reads each such manifest once; its patients are then placed and counted, and its images are known."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects

    async def __call__(self, project: str) -> None:
        """Settle those of a project; nothing where all are."""
        for dataset in await self._store.older_datasets(project):
            snapshot = await read_snapshot(self._objects, dataset.manifest)
            counted = replace(dataset, patients=patients_of(snapshot))
            async with self._store.change() as change:
                await change.settle_older(project, counted, snapshot.placements(), snapshot.images(*HELD_OUT))
