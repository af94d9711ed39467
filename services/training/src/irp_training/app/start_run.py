"""A wish to learn -> a queued run with a frozen dataset, recipe and base."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass

from irp_kernel.ids import Slug
from irp_kernel.mask import VALUE_OF

from irp_training.app.create_dataset import CreateDataset
from irp_training.app.find_version import find_version
from irp_training.app.keep_apart import KeepApart
from irp_training.app.learnt_from import GENERATIONS
from irp_training.app.ports import Clock, Project, Store
from irp_training.domain.datasets.inclusion import EVERYTHING, Rules
from irp_training.domain.errors import BadRecipe, DatasetEmpty, NothingToReplay, RunUnknown
from irp_training.domain.judging.bounds import INSTALLED, Bounds
from irp_training.domain.price import FREE, Price
from irp_training.domain.recipes.reading import read_recipe
from irp_training.domain.run import DatasetRow, ModelRef, Run, require_priority

MOST_REPLAYED = 8  # datasets, the newest: a chain of continued runs does not grow for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for; see StartRunRequest.

    Attributes:
        rules: which accepted masks count, where a dataset is frozen now.
        dataset_digest: learn from this frozen dataset instead.
        by_admin: an administrator of the installation asks.
    """

    model: str
    base: str = ""
    recipe: str = ""
    actor: str = ""
    request_id: str = ""
    rules: Rules = EVERYTHING
    dataset_digest: str = ""
    promote: bool = False
    by_admin: bool = False
    priority: int = 0


class StartRun:
    """Queues a run; the same request id is the same run."""

    def __init__(
        self,
        store: Store,
        create_dataset: CreateDataset,
        keep_apart: KeepApart,
        now: Clock,
        price: Price = FREE,
        bounds: Bounds = INSTALLED,
    ) -> None:
        self._store, self._create_dataset, self._keep_apart, self._now = store, create_dataset, keep_apart, now
        self._price, self._bounds = price, bounds

    async def __call__(self, project: Project, wish: Wish) -> Run:
        """Freeze everything that decides the result, then queue.

        Raises:
            ModelUnknown: there is no such base.
            BadRecipe: the recipe is not valid, loosens the gate's bounds, or limits the cost where the room knows no
                price.
            PriorityOutOfRange: the number is not from -100 to 100.
            DatasetEmpty: no case is in the split `training`.
            DatasetUnknown: there is no dataset of that digest.
            PatientLeak: a patient is in two splits, or the base has learnt from somebody who is held out.
            FrozenPatient: somebody who is held out would be learnt from.
            NothingToReplay: the recipe replays, and what the base learnt from is not known here.
        """
        require_priority(wish.priority)
        at = self._now()
        run_id = _run_id(project.id, wish.request_id or at + wish.model + wish.recipe)
        with suppress(RunUnknown):
            return await self._store.run(project.id, run_id)
        base = (await find_version(self._store, wish.base)).ref if wish.base else None
        recipe = read_recipe(wish.recipe, fine_tuning=base is not None, structures=VALUE_OF, bounds=self._bounds)
        if recipe.max_cost and not self._price.per_hour:
            raise BadRecipe("`max_cost` needs a price of an hour, which this room does not have")
        replay = await self._replayed(base) if base and recipe.replay else ()
        dataset = await self._dataset(project, wish)
        if not dataset.training:
            raise DatasetEmpty("no accepted mask is of a patient in the split `training`", cases=0)
        await self._keep_apart(project.id, dataset, base)
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
            by_admin=wish.by_admin,
            priority=wish.priority,
            replay=replay,
        )
        async with self._store.change() as change:
            return await change.add_run(run)

    async def _replayed(self, base: ModelRef) -> tuple[DatasetRow, ...]:
        """What the base learnt from, what its base did, and so on, as far as runs of this room made them."""
        found: dict[str, DatasetRow] = {}
        ancestor: ModelRef | None = base
        left = GENERATIONS
        while ancestor is not None and left and len(found) < MOST_REPLAYED:
            left -= 1
            model = await self._store.model(ancestor.name, ancestor.version)
            run = await self._store.run(*model.run) if model.run else None
            if run is not None:
                found.setdefault(run.dataset.digest, run.dataset)
            ancestor = run.base if run else None
        if not found:
            raise NothingToReplay(name=base.name, version=base.version)
        return tuple(found.values())

    async def _dataset(self, project: Project, wish: Wish) -> DatasetRow:
        if wish.dataset_digest:
            return await self._store.dataset_of(project.id, wish.dataset_digest)
        return await self._create_dataset(project, wish.rules, wish.actor)


def _run_id(project: str, request: str) -> str:
    return "run-" + hashlib.sha256(f"{project}\0{request}".encode()).hexdigest()[:16]
