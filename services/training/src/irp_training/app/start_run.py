"""A wish to learn -> a queued run with a frozen dataset, recipe and base."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from irp_kernel.errors import ModelUnknown
from irp_kernel.ids import Slug, split_model
from irp_kernel.mask import VALUE_OF

from irp_training.app.create_dataset import CreateDataset
from irp_training.app.ports import Clock, Project, Store
from irp_training.domain.errors import BadRecipe, DatasetEmpty, NothingToReplay
from irp_training.domain.price import FREE, Price
from irp_training.domain.recipe import read_recipe
from irp_training.domain.registry import champion
from irp_training.domain.run import DatasetRow, ModelRef, Run, require_priority

MOST_REPLAYED = 8  # datasets: a chain of continued runs does not grow for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for; see StartRunRequest."""

    model: str
    base: str = ""
    recipe: str = ""
    actor: str = ""
    request_id: str = ""
    sequence_classes: Sequence[str] = ()
    promote: bool = False
    priority: int = 0


class StartRun:
    """Queues a run; the same request id is the same run."""

    def __init__(self, store: Store, create_dataset: CreateDataset, now: Clock, price: Price = FREE) -> None:
        self._store, self._create_dataset, self._now, self._price = store, create_dataset, now, price

    async def __call__(self, project: Project, wish: Wish) -> Run:
        """Freeze everything that decides the result, then queue.

        Raises:
            ModelUnknown: there is no such base.
            BadRecipe: the recipe is not valid, or limits the cost where the room knows no price.
            PriorityOutOfRange: the number is not from -100 to 100.
            DatasetEmpty: no case is in the split `training`.
            PatientLeak: a patient is in two splits.
            NothingToReplay: the recipe replays, and what the base learnt from is not known here.
        """
        require_priority(wish.priority)
        at = self._now()
        run_id = _run_id(project.id, wish.request_id or at + wish.model + wish.recipe)
        known = [run for run in await self._store.runs(project.id) if run.id == run_id]
        if known:
            return known[0]
        base = await self._base(wish.base) if wish.base else None
        recipe = read_recipe(wish.recipe, fine_tuning=base is not None, structures=VALUE_OF)
        if recipe.max_cost and not self._price.per_hour:
            raise BadRecipe("`max_cost` needs a price of an hour, which this room does not have")
        replay = await self._replayed(base) if base and recipe.replay else ()
        dataset = await self._create_dataset(project, wish.sequence_classes)
        if not dataset.training:
            raise DatasetEmpty("no accepted mask is of a patient in the split `training`", cases=0)
        run = Run(
            project=project.id,
            id=run_id,
            model=Slug(wish.model),
            base=base,
            recipe=recipe.to_json(),
            dataset=dataset,
            actor=wish.actor,
            created_at=at,
            promote=wish.promote,
            priority=wish.priority,
            replay=replay,
        )
        async with self._store.change() as change:
            return await change.add_run(run)

    async def _replayed(self, base: ModelRef) -> tuple[DatasetRow, ...]:
        """What the base learnt from, and what was replayed to it."""
        model = await self._store.model(base.name, base.version)
        if model.run is None:
            raise NothingToReplay(name=base.name, version=base.version)
        run = await self._store.run(*model.run)
        return (run.dataset, *run.replay)[:MOST_REPLAYED]

    async def _base(self, text: str) -> ModelRef:
        name, version = split_model(text)
        wanted = version or champion(await self._store.history(name))
        if wanted is None:
            raise ModelUnknown(name=name)
        return (await self._store.model(name, wanted)).ref


def _run_id(project: str, request: str) -> str:
    return "run-" + hashlib.sha256(f"{project}\0{request}".encode()).hexdigest()[:16]
