"""Versions that were registered before the registry had a key are signed when it has one."""

from __future__ import annotations

from irp_training.app.ports import Store


class SignKnown:
    """Signs what has no signature; without a key nothing happens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def __call__(self) -> None:
        """Sign and announce each."""
        for model in await self._store.models():
            if not model.signature:
                async with self._store.change() as change:
                    await change.sign_model(model)
