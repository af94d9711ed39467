"""Puts the gateway together."""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, datetime

from irp_chassis import Room, run_room
from irp_chassis.auth import TokenMinter
from irp_kernel import ObjectRef

from irp_gateway.adapters.audit_rows import AuditRows
from irp_gateway.adapters.db import METADATA
from irp_gateway.adapters.desk import Desk, Limits
from irp_gateway.adapters.events import HEARD, Listeners
from irp_gateway.adapters.project_rows import ProjectRows
from irp_gateway.adapters.rooms import STUBS, Rooms
from irp_gateway.adapters.token_rows import TokenRows
from irp_gateway.adapters.web import add_doors
from irp_gateway.app.create_project import CreateProject
from irp_gateway.app.enter_project import EnterProject
from irp_gateway.app.identify import Identify
from irp_gateway.app.issue_token import IssueToken
from irp_gateway.app.revise_project import ReviseProject
from irp_gateway.settings import Settings


class _ConfigurationObjects:
    """Configuration documents in the gateway's bucket."""

    def __init__(self, room: Room[Settings]) -> None:
        self._objects = room.objects

    async def put(self, project: str, document: bytes) -> ObjectRef:
        """See Configurations.put."""
        return await self._objects.put(
            document,
            project=project,
            entity="project",
            id=project,
            kind="configuration",
            media_type="application/json",
            extension="json",
        )


def _now() -> datetime:
    return datetime.now(UTC)


def desk(room: Room[Settings]) -> Desk:
    """The gateway's verbs, rows, and lines to the rooms."""
    settings = room.settings
    addresses = {name: getattr(settings, f"{name}_address") for name in STUBS}
    projects, tokens = ProjectRows(room.database), TokenRows(room.database)
    minter = TokenMinter.from_file(settings.auth_private_key_file)
    configurations = _ConfigurationObjects(room)
    return Desk(
        identify=Identify(tokens, settings.bootstrap_token_sha256, _now),
        enter=EnterProject(projects),
        create_project=CreateProject(projects, configurations, _now),
        revise_project=ReviseProject(projects, configurations),
        issue_token=IssueToken(tokens, lambda: secrets.token_urlsafe(32), _now),
        projects=projects,
        tokens=tokens,
        audit=AuditRows(room.database),
        rooms=Rooms(addresses, minter),
        objects=room.objects,
        listeners=Listeners(),
        limits=Limits(settings.max_instance_bytes, settings.max_body_bytes, settings.max_container_bytes),
        public_url=(settings.public_url or f"http://{settings.http_bind}").rstrip("/"),
        minter=minter,
        oip_addresses=(settings.oip_address, settings.oip_http_address),
    )


async def compose(room: Room[Settings]) -> None:
    """Desk, doors, and the facts that frontends watch."""
    here = desk(room)
    add_doors(room.http, here)
    for fact in HEARD:
        room.hear(fact, here.listeners.on_fact)

    async def leave(stopping: asyncio.Event) -> None:
        await stopping.wait()
        here.leaving.set()

    room.spawn(leave)
    room.spawn(here.rooms.follow)
    room.refers_to(here.projects.configurations)
    room.on_stop(here.rooms.close)


def main() -> None:
    """Run the gateway."""
    run_room("gateway", Settings, compose, metadata=METADATA, migrations="irp_gateway.adapters.migrations")


if __name__ == "__main__":
    main()
