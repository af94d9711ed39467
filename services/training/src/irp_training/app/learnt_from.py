"""Which patients a model has learnt from, back through every model that its weights came from."""

from __future__ import annotations

from dataclasses import dataclass

from irp_training.app.ports import Objects, Store
from irp_training.domain.dataset import Snapshot
from irp_training.domain.registry import Model

GENERATIONS = 64  # fine-tunings in a row; beyond, the past is not known


@dataclass(frozen=True, slots=True)
class Learnt:
    """Patients as (project, pseudonym); `whole` is False where a model of the line was pushed by somebody."""

    patients: frozenset[tuple[str, str]]
    whole: bool


class LearntFrom:
    """Reads the datasets of a model's run, of its base's run, and so on."""

    def __init__(self, store: Store, objects: Objects) -> None:
        self._store, self._objects = store, objects

    async def __call__(self, model: Model) -> Learnt:
        """What is known."""
        patients: set[tuple[str, str]] = set()
        for _ in range(GENERATIONS):
            if model.run is None:
                return Learnt(frozenset(patients), whole=False)
            run = await self._store.run(*model.run)
            snapshot = Snapshot.from_manifest(await self._objects.get(run.dataset.manifest))
            patients |= {(snapshot.project, case.patient) for case in snapshot.of("training")}
            if run.base is None:
                return Learnt(frozenset(patients), whole=True)
            model = await self._store.model(run.base.name, run.base.version)
        return Learnt(frozenset(patients), whole=False)
