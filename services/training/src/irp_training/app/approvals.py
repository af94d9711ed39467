"""How many further people have to agree before a version becomes the champion."""

from __future__ import annotations

from collections.abc import Iterable

from irp_training.app.configuration import Configurations
from irp_training.app.ports import Store
from irp_training.domain.registry.registry import Model, Promotion


class Approvals:
    """The installation's rule, or the stricter one of the project whose run made the version (`approvals`)."""

    def __init__(self, store: Store, configurations: Configurations, everywhere: int) -> None:
        self._store, self._configurations, self._everywhere = store, configurations, everywhere

    async def of(self, model: Model) -> int:
        """0 or 1."""
        project = await self._store.project(model.run[0]) if model.run else None
        if project is None:
            return self._everywhere
        return max(self._everywhere, int((await self._configurations.of(project)).get("approvals") or 0))

    async def lacking(self, model: Model, history: Iterable[Promotion]) -> bool:
        """True where another person has to agree and nobody has: the version was never the champion."""
        was_champion = any(entry.version == model.ref.version for entry in history)
        return not was_champion and await self.of(model) > 0
