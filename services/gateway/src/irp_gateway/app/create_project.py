"""A project begins: configuration checked, stored, announced; who creates it owns it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from irp_kernel.errors import PermissionDenied

from irp_gateway.app.ports import Configurations, Project, Projects
from irp_gateway.domain.configuration import read_configuration
from irp_gateway.domain.roles import Identity


class CreateProject:
    """Make a project from a configuration document."""

    def __init__(self, projects: Projects, configurations: Configurations, now: Callable[[], datetime]) -> None:
        self._projects, self._configurations, self._now = projects, configurations, now

    async def __call__(self, document: Any, identity: Identity) -> Project:
        """The new project at revision 1.

        Raises:
            ConfigurationNotValid: says where.
            ProjectExists: the name is taken.
            PermissionDenied: the token opens one project only.
        """
        if identity.project:
            raise PermissionDenied("a token of one project makes no others")
        configuration = read_configuration(document)
        ref = await self._configurations.put(configuration.name, configuration.canonical_json())
        project = Project(
            id=configuration.name,
            title=configuration.title,
            revision=1,
            configuration=ref,
            created_at=self._now().isoformat(),
        )
        await self._projects.add(project, identity.subject, by_admin=identity.admin)
        return project
