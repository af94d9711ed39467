"""grpc.health.v1 answers for each network by its name, as for the services."""

from __future__ import annotations

import asyncio
import contextlib

from irp_chassis.rpc import RpcServer

from irp_inference.adapters.oip_models import Catalogue

LOOK_S = 2.0


class NamedHealth:
    """Keeps the health service's names in step with what is loaded."""

    def __init__(self, server: RpcServer, catalogue: Catalogue) -> None:
        self._server, self._catalogue = server, catalogue
        self._known: dict[str, bool] = {}

    async def follow(self, stopping: asyncio.Event) -> None:
        """Look every two seconds until the room leaves; then nothing serves."""
        while not stopping.is_set():
            await self._set({line["name"]: False for line in await self._catalogue.index(ready_only=False)})
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stopping.wait(), LOOK_S)
        for name in self._known:
            await self._server.name_serving(name, False)

    async def _set(self, names: dict[str, bool]) -> None:
        for name in names:
            serving = self._catalogue.ready(name, "")
            if self._known.get(name) != serving:
                await self._server.name_serving(name, serving)
                self._known[name] = serving
