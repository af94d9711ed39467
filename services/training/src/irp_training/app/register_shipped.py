"""The models that come with the house are in its registry before anybody asks."""

from __future__ import annotations

from collections.abc import Mapping

from irp_training.app.register_model import RegisterModel

ACTOR = "openirp"


class RegisterShipped:
    """Registers bundles by name; a version that is there already stays as it is."""

    def __init__(self, register: RegisterModel) -> None:
        self._register = register

    async def __call__(self, bundles: Mapping[str, bytes]) -> None:
        """Register each, and promote it where its name has no champion yet."""
        for name, data in sorted(bundles.items()):
            await self._register(name, data, ACTOR, promote_if_first=True)
