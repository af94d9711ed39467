"""Facts that ingest hears."""

from __future__ import annotations

from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis.wire import object_ref_from_proto

from irp_ingest.app.ports import Configurations


class OnProjectConfigured:
    """Fetches a new configuration before the first upload needs it."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations

    async def __call__(self, fact: ProjectConfigured) -> None:
        """Read it into the cache."""
        await self._configurations.read(object_ref_from_proto(fact.project.configuration))
