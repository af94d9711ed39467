"""Accepted masks -> an immutable dataset."""

from __future__ import annotations

from collections.abc import Iterable

from irp_training.app.configuration import Configurations
from irp_training.app.ports import Objects, Project, Store
from irp_training.domain.dataset import freeze
from irp_training.domain.run import DatasetRow
from irp_training.domain.split import Splits


class CreateDataset:
    """Freezes what is accepted now; the same facts give the same digest, and nothing new is stored."""

    def __init__(self, store: Store, objects: Objects, configurations: Configurations) -> None:
        self._store, self._objects, self._configurations = store, objects, configurations

    async def __call__(self, project: Project, sequence_classes: Iterable[str] = ()) -> DatasetRow:
        """Freeze the project's accepted masks.

        Raises:
            DatasetEmpty: there is none.
            PatientLeak: the configuration names a patient in two splits.
        """
        splits = Splits.from_configuration(await self._configurations.of(project))
        snapshot = freeze(project.id, await self._store.cases(project.id), splits, sequence_classes)
        manifest = await self._objects.put(
            snapshot.manifest(),
            project=project.id,
            entity="dataset",
            id=snapshot.digest[:16],
            kind="manifest",
            media_type="application/json",
            extension="json",
        )
        dataset = DatasetRow(
            digest=snapshot.digest,
            manifest=manifest,
            training=snapshot.count("training"),
            validation=snapshot.count("validation"),
            test=snapshot.count("test"),
        )
        async with self._store.change() as change:
            await change.remember_project(project)
            await change.add_dataset(project.id, dataset)
        return dataset
