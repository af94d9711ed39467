"""The champion before becomes the champion again."""

from __future__ import annotations

from irp_kernel.errors import Aborted

from irp_training.app.ports import Clock, Store
from irp_training.domain.registry.candidacy import COMMENT
from irp_training.domain.registry.registry import Model, Promotion, earlier_champion


class RollbackModel:
    """Undoes the latest promotion, without asking the gate: the operator is in a hurry."""

    def __init__(self, store: Store, now: Clock) -> None:
        self._store, self._now = store, now

    async def __call__(self, name: str, actor: str, reason: str = "") -> Model:
        """Go back by one; `reason` goes into the history.

        Raises:
            NoEarlierChampion: there was one only.
            Aborted: the champion changed meanwhile, and what is to be undone is not what was seen.
        """
        seen = await self._store.history(name)
        version = earlier_champion(seen)
        model = await self._store.model(name, version)
        async with self._store.change() as change:
            history = await change.history(name)
            if history != seen:
                raise Aborted(f"the champion of {name} changed at the same time; look, and repeat the request")
            entry = Promotion(len(history) + 1, version, "rollback", actor, self._now(), reason[:COMMENT])
            await change.add_promotion(model, entry)
        return model
