"""A project was configured, or a call names a revision that is new here: learn what the project draws."""

from __future__ import annotations

import json

from irp_kernel.errors import InvalidArgument

from irp_annotation.app.ports import Objects, Projects
from irp_annotation.domain.series import ProjectRevision
from irp_annotation.domain.structures import Structures


class ProjectStructures:
    """Answers what a project draws at a revision; fetches the configuration once."""

    def __init__(self, projects: Projects, objects: Objects) -> None:
        self._projects, self._objects = projects, objects

    async def __call__(self, project: ProjectRevision) -> Structures:
        """The structures of a revision.

        Raises:
            InvalidArgument: the configuration is not a configuration document.
            UnknownStructure: it names a canonical structure that does not exist.
        """
        known = await self._projects.structures(project)
        if known is not None:
            return known
        try:
            structures = Structures.from_configuration(json.loads(await self._objects.get(project.configuration)))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise InvalidArgument("the project's configuration cannot be read", revision=project.revision) from None
        await self._projects.remember(project, structures)
        return structures
