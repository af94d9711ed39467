"""Who comes into a project, and as what: a project one is not a member of does not exist."""

from __future__ import annotations

from irp_kernel.errors import PermissionDenied, ProjectUnknown

from irp_gateway.app.ports import Project, Projects
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
        if identity.project not in {"", project_id}:
            raise ProjectUnknown
        project = await self._projects.get(project_id)
        member = await self._member(identity, project) if project else None
        if project is None or member is None:
            raise ProjectUnknown
        if roles and not member.may(*roles):
            raise PermissionDenied(f"this needs one of the roles {', '.join(roles)}")
        return project, member

    async def _member(self, identity: Identity, project: Project) -> Member | None:
        if identity.admin:
            return Member(subject=identity.subject, roles=frozenset({ADMIN}))
        return await self._projects.member(project.id, identity.subject)
