"""On which patients a version is judged: those of a project, or a frozen dataset that there is already."""

from __future__ import annotations

from irp_training.app.create_dataset import CreateDataset
from irp_training.app.ports import Project, Store
from irp_training.domain.errors import NoFrozenSet
from irp_training.domain.run import DatasetRow


class FrozenSet:
    """Finds the dataset that judges."""

    def __init__(self, store: Store, create_dataset: CreateDataset) -> None:
        self._store, self._create_dataset = store, create_dataset

    async def __call__(
        self, name: str, run: tuple[str, str] | None = None, project: Project | None = None
    ) -> DatasetRow | None:
        """As `dataset`, but with somebody in `validation`; None = there is none.

        Raises:
            NoFrozenSet: the project has no case in `validation`.
            DatasetEmpty, PatientLeak: of the project.
        """
        found = await self.dataset(name, run, project)
        if found is not None and found.validation:
            return found
        if project is not None:
            raise NoFrozenSet
        return None

    async def dataset(
        self, name: str, run: tuple[str, str] | None, project: Project | None, digest: str = ""
    ) -> DatasetRow | None:
        """That of the project; else of the run; else the newest of any run for this model; None = there is none.

        Args:
            name: of the model.
            run: that made the version, as (project, id).
            project: whose accepted masks shall judge.
            digest: of a dataset that the project froze before; empty = it is frozen now.

        Raises:
            DatasetEmpty, DatasetUnknown, PatientLeak: of the project.
        """
        if project is not None:
            return await (self._store.dataset_of(project.id, digest) if digest else self._create_dataset(project))
        return (await self._store.run(*run)).dataset if run else await self._store.newest_dataset(name)
