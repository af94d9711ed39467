"""A project's configuration changes: checked, stored as a new revision, announced."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from irp_gateway.app.ports import Configurations, Project, Projects
from irp_gateway.domain.configuration import read_configuration
from irp_gateway.domain.errors import ConfigurationNotValid, RevisionChanged


class ReviseProject:
    """Give a project a new revision of its configuration."""

    def __init__(self, projects: Projects, configurations: Configurations) -> None:
        self._projects, self._configurations = projects, configurations

    async def __call__(
        self, project: Project, document: Any, expected_revision: int | None, *, by_admin: bool = False
    ) -> Project:
        """The project at its new revision; the same document again changes nothing.

        Args:
            project: at its present revision.
            document: the whole new configuration.
            expected_revision: refuse unless this is the present one; None = whatever it is.
            by_admin: an administrator of the installation revises it.

        Raises:
            ConfigurationNotValid: says where.
            RevisionChanged: somebody was faster.
        """
        configuration = read_configuration(document)
        if configuration.name != project.id:
            raise ConfigurationNotValid("name: a project keeps its name")
        if expected_revision not in {None, project.revision}:
            raise RevisionChanged(f"the present revision is {project.revision}", revision=project.revision)
        ref = await self._configurations.put(project.id, configuration.canonical_json())
        if ref == project.configuration:
            return project
        revised = replace(project, title=configuration.title, revision=project.revision + 1, configuration=ref)
        await self._projects.revise(revised, project.revision, by_admin=by_admin)
        return revised
