"""A project begins: configuration checked, stored, announced; who creates it owns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from irp_gateway.app.ports import Configurations, Project, Projects
from irp_gateway.domain.configuration import read_configuration
from irp_gateway.domain.errors import ConfigurationNotValid, RevisionChanged
from irp_gateway.domain.roles import Identity


class CreateProject:
    """Make a project from a configuration document."""

    def __init__(self, projects: Projects, configurations: Configurations, now: Callable[[], str]) -> None:
        self._projects, self._configurations, self._now = projects, configurations, now

    async def __call__(self, document: Any, identity: Identity) -> Project:
        """The new project at revision 1.

        Raises:
            ConfigurationNotValid: says where.
            ProjectExists: the name is taken.
        """
        configuration = read_configuration(document)
        ref = await self._configurations.put(configuration.name, configuration.canonical_json())
        project = Project(
            id=configuration.name, title=configuration.title, revision=1, configuration=ref, created_at=self._now()
        )
        await self._projects.add(project, identity.subject)
        return project


class ReviseProject:
    """Give a project a new revision of its configuration."""

    def __init__(self, projects: Projects, configurations: Configurations) -> None:
        self._projects, self._configurations = projects, configurations

    async def __call__(self, project: Project, document: Any, expected_revision: int | None) -> Project:
        """The project at its new revision.

        Raises:
            ConfigurationNotValid: says where.
            RevisionChanged: somebody was faster.
        """
        configuration = read_configuration(document)
        if configuration.name != project.id:
            raise ConfigurationNotValid("name: a project keeps its name")
        if expected_revision is not None and expected_revision != project.revision:
            raise RevisionChanged(f"the present revision is {project.revision}", revision=project.revision)
        ref = await self._configurations.put(project.id, configuration.canonical_json())
        if ref == project.configuration:
            return project
        revised = Project(
            id=project.id,
            title=configuration.title,
            revision=project.revision + 1,
            configuration=ref,
            created_at=project.created_at,
        )
        await self._projects.revise(revised, project.revision)
        return revised
