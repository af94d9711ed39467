"""Who comes into a project, and as what: a project one is not a member of does not exist."""

from __future__ import annotations

import re

from irp_kernel.errors import PermissionDenied, ProjectUnknown

from irp_gateway.app.ports import Project, Projects
from irp_gateway.domain.naming import SLUG
from irp_gateway.domain.roles import ADMIN, Identity, Member


class EnterProject:
    """Identity and project -> membership."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def __call__(self, identity: Identity, project_id: str, *roles: str) -> tuple[Project, Member]:
        """The project and the identity's membership, if one of the roles is held (no role asked = any member).

        Raises:
            ProjectUnknown: there is none, or the identity is not a member.
            PermissionDenied: a member, but without the role.
        """
        if identity.project not in {"", project_id} or not re.fullmatch(SLUG, project_id):
            raise ProjectUnknown
        found = await self._projects.find(project_id, identity.subject)
        if found is None:
            raise ProjectUnknown
        project, member = found
        if identity.admin:
            member = Member(subject=identity.subject, roles=frozenset({ADMIN}))
        if member is None:
            raise ProjectUnknown
        if roles and not member.may(*roles):
            raise PermissionDenied(f"this needs one of the roles {', '.join(roles)}")
        return project, member
