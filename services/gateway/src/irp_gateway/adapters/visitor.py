"""The person at the door: let into a project, and spoken for to the rooms."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from irp.common.v1 import types_pb2
from irp_chassis.auth import Caller, act_as
from irp_chassis.wire import object_ref_to_proto
from irp_kernel.errors import PermissionDenied

from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.app.ports import Project
from irp_gateway.domain.errors import SiteNotYours
from irp_gateway.domain.naming import SLUG
from irp_gateway.domain.roles import SUBJECT, Identity, Member

UidInPath = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$", description="DICOM UID, de-identified")]
IdInPath = Annotated[str, Path(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
ModelInPath = Annotated[str, Path(pattern=SLUG)]
SubjectInPath = Annotated[str, Path(pattern=SUBJECT)]


async def _identity(request: Request) -> Identity:
    identity: Identity = request.state.identity  # set by the door, before the body was read
    return identity


Visitor = Annotated[Identity, Depends(_identity)]


async def _admin(identity: Visitor) -> Identity:
    if not identity.admin:
        raise PermissionDenied("this needs the role admin")
    return identity


Admin = Annotated[Identity, Depends(_admin)]


@dataclass(frozen=True, slots=True)
class Inside:
    """A member inside a project.

    Attributes:
        identity: who.
        project: where, at its present revision.
        member: with which roles.
        desk: what to work with.
    """

    identity: Identity
    project: Project
    member: Member
    desk: Desk

    @property
    def ref(self) -> types_pb2.ProjectRef:
        """The project as every call carries it."""
        return types_pb2.ProjectRef(
            id=self.project.id,
            revision=self.project.revision,
            configuration=object_ref_to_proto(self.project.configuration),
        )

    @property
    def subject(self) -> str:
        """Who, as provenance says it."""
        return self.identity.subject

    async def ask(self, room: str, method: str, request: Any, *, timeout_s: float = 60, series: str = "") -> Any:
        """Ask a room on the member's behalf; of a series, the replica that knows it (see `Line.ask`)."""
        return await self.desk.rooms[room].ask(method, request, timeout_s=timeout_s, series=series)

    def stream(self, room: str, method: str, request: Any, *, timeout_s: float) -> AsyncIterator[Any]:
        """Ask a room for a stream on the member's behalf."""
        return self.desk.rooms[room].stream(method, request, timeout_s=timeout_s)

    def address(self, *path: object) -> str:
        """Public address of something in the project."""
        return self.desk.address("projects", self.project.id, *path)

    def site(self, said: str) -> str:
        """Whose patients are uploaded: the token's site, else the subject; only owners speak for other sites.

        Raises:
            SiteNotYours: the request names another one.
        """
        own = self.identity.site or self.subject
        if said and said != own and not self.member.may("owner"):
            raise SiteNotYours
        return said or own


def inside(*roles: str) -> Callable[..., Awaitable[Inside]]:
    """A dependency: only members with one of the roles (none named = any member) come in."""

    async def enter(
        project: Annotated[str, Path(description="name of the project")], identity: Visitor, desk: DeskHere
    ) -> Inside:
        found, member = await desk.enter(identity, project, *roles)
        act_as(Caller(subject=identity.subject, project=found.id, roles=member.roles))
        return Inside(identity, found, member, desk)

    return enter


AnyMember = Annotated[Inside, Depends(inside())]
Owner = Annotated[Inside, Depends(inside("owner"))]
Annotator = Annotated[Inside, Depends(inside("annotator"))]
Uploader = Annotated[Inside, Depends(inside("uploader"))]
Curator = Annotated[Inside, Depends(inside("curator"))]
