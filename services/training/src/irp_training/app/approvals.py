"""How many further people have to agree before a version becomes the champion."""

from __future__ import annotations

from irp_training.app.configuration import Configurations
from irp_training.app.ports import Store
from irp_training.domain.registry import Model


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
