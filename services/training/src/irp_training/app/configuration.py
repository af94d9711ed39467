"""A project's configuration document, fetched once per revision."""

from __future__ import annotations

import json
from typing import Any

from irp_kernel.errors import DataLoss

from irp_training.app.kept import Kept
from irp_training.app.ports import Objects, Project

KEPT = 64  # documents


class Configurations:
    """Fetches by hash and keeps the latest few."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._kept: Kept[dict[str, Any]] = Kept(KEPT)

    async def of(self, project: Project) -> dict[str, Any]:
        """The document of the project's revision.

        Raises:
            DataLoss: the stored document is not JSON.
        """
        digest = project.configuration.sha256
        if digest not in self._kept:
            try:
                document = json.loads(await self._objects.get(project.configuration))
            except ValueError:
                raise DataLoss("a configuration document cannot be read") from None
            self._kept[digest] = document
        return self._kept[digest]
