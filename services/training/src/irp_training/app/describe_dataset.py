"""A frozen dataset -> what it consists of, and its data sheet."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from irp_training.app.configuration import Configurations
from irp_training.app.keep_dataset import patients_of
from irp_training.app.ports import Objects, Project, Store
from irp_training.domain.datasets.composition import Cell, composition
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.datasets.datasheet import datasheet
from irp_training.domain.run import DatasetRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """A dataset with its composition and its data sheet (Markdown)."""

    dataset: DatasetRow
    cells: list[Cell]
    sheet: str


class DescribeDataset:
    """Reads the manifest; nothing else is needed, and nothing else is said."""

    def __init__(self, store: Store, objects: Objects, configurations: Configurations) -> None:
        self._store, self._objects, self._configurations = store, objects, configurations

    async def __call__(self, project: Project, digest: str) -> Described:
        """Describe one.

        Raises:
            DatasetUnknown: there is none, or not only one, of that digest.
        """
        dataset = await self._store.dataset_of(project.id, digest)
        data = await self._objects.get(dataset.manifest)
        return await asyncio.to_thread(_describe, dataset, data, await self._configurations.of(project))


def _describe(dataset: DatasetRow, manifest: bytes, configuration: dict[str, object]) -> Described:
    snapshot = Snapshot.from_manifest(manifest)
    counted = replace(dataset, patients=patients_of(snapshot))
    return Described(dataset=counted, cells=composition(snapshot), sheet=datasheet(snapshot, counted, configuration))
