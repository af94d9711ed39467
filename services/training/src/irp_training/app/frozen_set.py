"""On which patients a version is judged: those of a project, or a frozen set that there is already."""

from __future__ import annotations

from irp_training.app.create_dataset import CreateDataset
from irp_training.app.ports import Project, Store
from irp_training.domain.errors import NoFrozenSet
from irp_training.domain.run import DatasetRow


class FrozenSet:
    """Finds the dataset whose validation split judges."""

    def __init__(self, store: Store, create_dataset: CreateDataset) -> None:
        self._store, self._create_dataset = store, create_dataset

    async def __call__(
        self, name: str, run: tuple[str, str] | None = None, project: Project | None = None
    ) -> DatasetRow | None:
        """That of the project; else of the run; else the newest of any run for this model; None = there is none.

        Args:
            name: of the model.
            run: that made the version, as (project, id).
            project: whose accepted masks shall judge.

        Raises:
            NoFrozenSet: the project has no case in `validation`.
            DatasetEmpty, PatientLeak: of the project.
        """
        if project is not None:
            dataset = await self._create_dataset(project)
            if not dataset.validation:
                raise NoFrozenSet
            return dataset
        found = (await self._store.run(*run)).dataset if run else await self._store.newest_dataset(name)
        return found if found is not None and found.validation else None
