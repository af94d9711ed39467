"""A frozen dataset without those from whom a model has learnt: what it knows of them is no figure."""

from __future__ import annotations

from dataclasses import replace

from irp_training.app.learnt_from import LearntFrom
from irp_training.app.ports import Objects, Store
from irp_training.app.snapshots import read_snapshot
from irp_training.domain.datasets.dataset import Snapshot
from irp_training.domain.registry.registry import Model
from irp_training.domain.run import DatasetRow


class Unseen:
    """Reads a dataset as some models may be judged on it."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._objects, self._learnt_from = objects, LearntFrom(store, objects)

    async def __call__(self, dataset: DatasetRow, *models: Model) -> tuple[Snapshot, int]:
        """What none of the models, nor one that it came from, was taught; and how many validation cases one was.

        A patient may have been taught before he was held out, or in another project, where the image gives him away.
        """
        snapshot = await read_snapshot(self._objects, dataset.manifest)
        learnt = [await self._learnt_from(model) for model in models]
        kept = tuple(
            entry for entry in snapshot.entries if not any(one.knows(snapshot.project, entry.case) for one in learnt)
        )
        unseen = replace(snapshot, entries=kept)
        return unseen, snapshot.count("validation") - unseen.count("validation")
