"""`name`, `name@3`, `name@champion`, `name@sha256:...` -> the version that it names now."""

from __future__ import annotations

from irp_kernel.errors import ModelUnknown
from irp_kernel.ids import Digest, split_model

from irp_training.app.ports import Store
from irp_training.domain.registry.registry import Model, aliases


async def find_version(store: Store, text: str) -> Model:
    """A name without a version is its champion.

    Raises:
        ModelUnknown: there is no such version, or no version has that name now.
    """
    name, wanted = split_model(text)
    if isinstance(wanted, int):
        return await store.model(name, wanted)
    if isinstance(wanted, Digest):
        return await store.model_of(name, wanted.hex)
    version = aliases(await store.versions(name), await store.history(name)).get(wanted or "champion")
    if version is None:
        raise ModelUnknown(name=name)
    return await store.model(name, version)
