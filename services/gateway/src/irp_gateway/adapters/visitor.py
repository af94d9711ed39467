"""The person at the door: identified, let into a project, spoken for to the rooms, written into the audit log."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from irp.common.v1 import types_pb2
from irp_chassis.auth import Caller, act_as
from irp_chassis.objects import Objects
from irp_chassis.wire import object_ref_to_proto
from irp_kernel.errors import PermissionDenied, TooLarge

from irp_gateway.adapters.db import AuditTable, ProjectTable, TokenTable
from irp_gateway.adapters.rooms import Rooms
from irp_gateway.app.create_project import CreateProject, ReviseProject
from irp_gateway.app.identify import Enter, Identify
from irp_gateway.app.ports import Project
from irp_gateway.domain.roles import ADMIN, Identity, Member


@dataclass(frozen=True, slots=True)
class Desk:
    """Everything that the doors work with; `main.py` puts it together."""

    identify: Identify
    enter: Enter
    create_project: CreateProject
    revise_project: ReviseProject
    projects: ProjectTable
    tokens: TokenTable
    audit: AuditTable
    rooms: Rooms
    objects: Objects
    public_url: str
    max_instance_bytes: int
    max_body_bytes: int


def desk_of(request: Request) -> Desk:
    """The desk of this app."""
    desk: Desk = request.app.state.desk
    return desk


DeskHere = Annotated[Desk, Depends(desk_of)]


async def _identity(request: Request, desk: DeskHere) -> Identity:
    identity = await desk.identify(request.headers.get("authorization", ""))
    roles = frozenset({ADMIN}) if identity.admin else frozenset()
    act_as(Caller(subject=identity.subject, roles=roles))
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

    async def ask(self, room: str, method: str, request: Any, *, timeout_s: float = 60) -> Any:
        """Ask a room on the member's behalf."""
        return await self.desk.rooms[room].ask(method, request, timeout_s=timeout_s)

    async def note(self, action: str, target: str, status: int = 200) -> None:
        """Write a line into the audit log."""
        await self.desk.audit.write(
            subject=self.identity.subject, project=self.project.id, action=action, target=target, status=status
        )


def inside(*roles: str) -> Callable[..., Awaitable[Inside]]:
    """A dependency: only members with one of the roles (none named = any member) come in."""

    async def enter(project: str, identity: Visitor, desk: DeskHere) -> Inside:
        found, member = await desk.enter(identity, project, *roles)
        act_as(Caller(subject=identity.subject, project=found.id, roles=member.roles))
        return Inside(identity, found, member, desk)

    return enter


AnyMember = Annotated[Inside, Depends(inside())]
Owner = Annotated[Inside, Depends(inside("owner"))]
Annotator = Annotated[Inside, Depends(inside("annotator"))]
Uploader = Annotated[Inside, Depends(inside("uploader"))]


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body, read no further than the limit.

    Raises:
        TooLarge: there is more.
    """
    pieces, size = [], 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise TooLarge(f"at most {limit} bytes", limit_bytes=limit)
        pieces.append(piece)
    return b"".join(pieces)
