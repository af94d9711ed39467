"""Who is asking, and as what: closed by default; a project one is not a member of does not exist."""

from __future__ import annotations

from irp_kernel import sha256_of
from irp_kernel.errors import PermissionDenied, ProjectUnknown, Unauthenticated

from irp_gateway.app.ports import Project, Projects, Tokens
from irp_gateway.domain.roles import ADMIN, Identity, Member


class Identify:
    """Bearer token -> identity."""

    def __init__(self, tokens: Tokens, bootstrap_sha256: str) -> None:
        self._tokens, self._bootstrap = tokens, bootstrap_sha256.lower()

    async def __call__(self, authorization: str) -> Identity:
        """The identity behind an Authorization header.

        Raises:
            Unauthenticated: no token, or not one of ours.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Unauthenticated("the request carries no bearer token")
        digest = sha256_of(token.strip().encode())
        if self._bootstrap and digest == self._bootstrap:
            return Identity(subject="bootstrap-admin", admin=True)
        identity = await self._tokens.find(digest)
        if identity is None:
            raise Unauthenticated("the bearer token is not known here")
        return identity


class Enter:
    """Identity and project -> membership."""

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def __call__(self, identity: Identity, project_id: str, *roles: str) -> tuple[Project, Member]:
        """The project and the identity's membership, if one of the roles is held (no role asked = any member).

        Raises:
            ProjectUnknown: there is none, or the identity is not a member.
            PermissionDenied: a member, but without the role.
        """
        project = await self._projects.get(project_id)
        member = await self._projects.member(project_id, identity.subject) if project else None
        if identity.admin:
            member = Member(subject=identity.subject, roles=frozenset({ADMIN}))
        if project is None or member is None:
            raise ProjectUnknown
        if roles and not member.may(*roles):
            raise PermissionDenied(f"this needs one of the roles {', '.join(roles)}")
        return project, member
