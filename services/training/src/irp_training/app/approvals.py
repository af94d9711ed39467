"""How many further people have to agree before a version becomes the champion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from irp_kernel.errors import DataLoss

from irp_training.app.configuration import Configurations
from irp_training.app.kept import Kept
from irp_training.app.ports import Project, Store
from irp_training.domain.registry.registry import Model, Promotion
from irp_training.domain.registry.used import approvals_wanted, names_used

KEPT = 4096  # configurations of which is remembered what they say


@dataclass(frozen=True, slots=True)
class _Said:
    """By a project: how many have to agree, and which models it uses."""

    approvals: int
    uses: frozenset[str]


UNREADABLE = _Said(approvals=1, uses=frozenset())  # nobody is let by because what he asks for cannot be read


class Approvals:
    """The strictest rule of the installation and of every project that the name is a matter of (`approvals`).

    Those are the projects whose runs made a version of the name, this one or another, and those whose configuration
    uses it: who pushes a version, or learns it elsewhere, goes by the rule of those whom it will answer.
    """

    def __init__(self, store: Store, configurations: Configurations, everywhere: int) -> None:
        self._store, self._configurations, self._everywhere = store, configurations, everywhere
        self._kept: Kept[_Said] = Kept(KEPT)

    async def of(self, model: Model) -> int:
        """0 or 1; the version may not be registered yet."""
        return await self._strictest(model.ref.name, {model.run[0]} if model.run else set())

    async def unagreed(self, models: Sequence[Model], history: Iterable[Promotion]) -> frozenset[int]:
        """Of registered versions of one name, those on which another person has to agree and nobody has."""
        if not models or not await self._strictest(models[0].ref.name, set()):
            return frozenset()
        # A version that was the champion has been agreed on, or became it when nobody had to.
        return frozenset(model.ref.version for model in models) - {entry.version for entry in history}

    async def _strictest(self, name: str, makers: set[str]) -> int:
        if self._everywhere:
            return self._everywhere
        makers = makers | await self._store.makers(name)
        for project in await self._store.projects():
            said = await self._said(project)
            if said.approvals and (project.id in makers or name in said.uses):
                return said.approvals
        return 0

    async def _said(self, project: Project) -> _Said:
        digest = project.configuration.sha256
        if digest not in self._kept:
            said = UNREADABLE
            with suppress(DataLoss):
                document = await self._configurations.of(project)
                said = _Said(approvals_wanted(document), names_used(document))
            self._kept[digest] = said
        return self._kept[digest]
