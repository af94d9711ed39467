"""The champion of a name, and those that it followed."""

from __future__ import annotations

from irp_training.app.ports import Store
from irp_training.domain.registry.registry import Model, champions


async def line_of_champions(store: Store, name: str) -> list[Model]:
    """Newest first; what was rolled back is not among them."""
    return [await store.model(name, version) for version in champions(await store.history(name))]
