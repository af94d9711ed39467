"""The champion before becomes the champion again."""

from __future__ import annotations

from irp_training.app.ports import Store
from irp_training.domain.registry import Model, Promotion, earlier_champion


class RollbackModel:
    """Undoes the latest promotion, without asking the gate: the operator is in a hurry."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self, name: str, actor: str) -> Model:
        """Go back by one.

        Raises:
            NoEarlierChampion: there was one only.
        """
        version = earlier_champion(await self._store.history(name))
        model = await self._store.model(name, version)
        async with self._store.change() as change:
            history = await change.history(name)
            if earlier_champion(history) == version:
                await change.add_promotion(model, Promotion(len(history) + 1, version, "rollback"), actor)
        return model
