"""Everything that the doors work with; `main.py` puts it together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from irp_chassis.auth import TokenMinter
from irp_chassis.objects import Objects

from irp_gateway.adapters.audit_rows import AuditRows
from irp_gateway.adapters.events import Listeners
from irp_gateway.adapters.project_rows import ProjectRows
from irp_gateway.adapters.rooms import Rooms
from irp_gateway.adapters.token_rows import TokenRows
from irp_gateway.app.create_project import CreateProject
from irp_gateway.app.enter_project import EnterProject
from irp_gateway.app.identify import Identify
from irp_gateway.app.issue_token import IssueToken
from irp_gateway.app.revise_project import ReviseProject


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest bodies, in bytes."""

    instance: int
    body: int
    container: int = 10 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Verbs, rows, lines to the rooms.

    Attributes:
        oip_addresses: where clients reach the Open Inference Protocol, by gRPC and by HTTP.
        problems: title and advice of other rooms' refusals that passed through here, by reason.
        leaving: set when the gateway is told to leave; long answers end then.
    """

    identify: Identify
    enter: EnterProject
    create_project: CreateProject
    revise_project: ReviseProject
    issue_token: IssueToken
    projects: ProjectRows
    tokens: TokenRows
    audit: AuditRows
    rooms: Rooms
    objects: Objects
    listeners: Listeners
    limits: Limits
    public_url: str
    minter: TokenMinter
    oip_addresses: tuple[str, str] = ("", "")
    problems: dict[str, tuple[str, str]] = field(default_factory=dict)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    def address(self, *path: object) -> str:
        """Public address of something under /api/v1."""
        return "/".join([f"{self.public_url}/api/v1", *map(str, path)])


def desk_of(request: Request) -> Desk:
    """The desk of this app."""
    desk: Desk = request.app.state.desk
    return desk


async def _desk(request: Request) -> Desk:
    return desk_of(request)


DeskHere = Annotated[Desk, Depends(_desk)]
