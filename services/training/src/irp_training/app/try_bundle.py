"""A bundle is looked through, and nothing is registered."""

from __future__ import annotations

import json

from irp_training.app.work_ports import Inspect


class TryBundle:
    """Says what a push would say of the bundle itself."""

    def __init__(self, inspect: Inspect) -> None:
        self._inspect = inspect

    async def __call__(self, bundle: bytes) -> str:
        """What was found, as JSON; what is wrong with the bundle is a check that failed."""
        return json.dumps((await self._inspect(bundle)).document(), sort_keys=True)
