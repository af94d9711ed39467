"""Which sequences a model is for: those that its name's champions have learnt, and those for which it proposes."""

from __future__ import annotations

from collections.abc import Sequence

from irp_training.app.configuration import Configurations
from irp_training.app.kept import Kept
from irp_training.app.ports import Objects, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.registry.registry import Model
from irp_training.domain.registry.used import sequences_served
from irp_training.domain.run import DatasetRow

KEPT = 1024  # datasets whose sequences are remembered


class SequencesFor:
    """Reads the datasets of the champions' runs, each once, and the newest configuration of the project."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects
        self._configurations = Configurations(objects)
        self._kept: Kept[frozenset[str]] = Kept(KEPT)

    async def __call__(self, candidate: Model, champions: Sequence[Model], project: str) -> frozenset[str]:
        """Sequence classes; empty = nothing is known, so all.

        A candidate may have learnt fewer than the champions: it answers in their place all the same. Its own count only
        where nothing is known of theirs: they were pushed, and propose nowhere in this project.
        """
        served = await self._served(candidate.ref.name, project)
        learnt = [await self._learnt_by(model) for model in champions]
        return served.union(*learnt) or await self._learnt_by(candidate)

    async def _served(self, name: str, project: str) -> frozenset[str]:
        known = await self._store.project(project)
        return sequences_served(await self._configurations.of(known), name) if known else frozenset()

    async def _learnt_by(self, model: Model) -> frozenset[str]:
        run = await self._store.run(*model.run) if model.run else None
        dataset = run.dataset if run else await self._store.dataset(model.dataset_digest)
        return await self._taught_by(dataset) if dataset else frozenset()

    async def _taught_by(self, dataset: DatasetRow) -> frozenset[str]:
        if dataset.digest not in self._kept:
            snapshot = await read_snapshot(self._objects, dataset.manifest)
            self._kept[dataset.digest] = frozenset(case.sequence_class for case in snapshot.of("training"))
        return self._kept[dataset.digest]
