"""A container that was accepted -> the version that its name means, until another is promoted."""

from __future__ import annotations

from irp_training.app.ask_container import accepted
from irp_training.app.container_ports import Containers
from irp_training.app.ports import Clock
from irp_training.domain.containers.container import Container


class PromoteContainer:
    """Makes a version the champion of its name; there is no gate, for what it has learnt from is not known."""

    def __init__(self, containers: Containers, now: Clock) -> None:
        self._containers, self._now = containers, now

    async def __call__(self, name: str, version: int, actor: str) -> Container:
        """The version, which now answers to its bare name.

        Raises:
            ContainerUnknown, ContainerNotAccepted.
        """
        await accepted(self._containers, name, version)
        return await self._containers.promote(name, version, actor, self._now())
