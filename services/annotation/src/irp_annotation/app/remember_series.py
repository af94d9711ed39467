"""A series was stored: remember its volume, its grid and where its header lies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from irp_kernel import Geometry, ObjectRef, decode_volume

from irp_annotation.app.ports import Catalogue, Objects
from irp_annotation.domain.series import Series


class RememberSeries:
    """Keeps the read model of series; older and deleted versions of a volume are dropped."""

    def __init__(self, catalogue: Catalogue, objects: Objects) -> None:
        self._catalogue, self._objects = catalogue, objects

    async def __call__(self, volume: ObjectRef, describe: Callable[[Geometry], Series]) -> None:
        """Read the volume's grid and keep what `describe` makes of it.

        Raises:
            BadVolumeFile: the volume cannot be read.
        """
        data = await self._objects.get(volume)
        decoded = await asyncio.to_thread(decode_volume, data)
        await self._catalogue.remember(describe(decoded.geometry))
