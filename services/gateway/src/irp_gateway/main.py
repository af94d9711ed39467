"""Puts the gateway together."""

from __future__ import annotations

from datetime import UTC, datetime

from irp_chassis import Room, run_room
from irp_chassis.auth import TokenMinter
from irp_kernel import ObjectRef

from irp_gateway.adapters import (
    dicomweb,
    events,
    operations,
    projects,
    radiomics,
    segmentations,
    series,
    training,
)
from irp_gateway.adapters.db import METADATA, AuditTable, ProjectTable, TokenTable
from irp_gateway.adapters.rooms import STUBS, Rooms
from irp_gateway.adapters.visitor import Desk
from irp_gateway.app.create_project import CreateProject, ReviseProject
from irp_gateway.app.identify import Enter, Identify
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

    async def get(self, ref: ObjectRef) -> bytes:
        """See Configurations.get."""
        return await self._objects.get(ref)


async def compose(room: Room[Settings]) -> None:
    """Verbs, lines to the rooms, doors."""
    settings = room.settings
    rooms = Rooms(
        {name: getattr(settings, f"{name}_address") for name in STUBS},
        TokenMinter.from_file(settings.auth_private_key_file),
    )
    table, tokens = ProjectTable(room.database), TokenTable(room.database)
    configurations = _ConfigurationObjects(room)
    room.http.state.desk = Desk(
        identify=Identify(tokens, settings.bootstrap_token_sha256),
        enter=Enter(table),
        create_project=CreateProject(table, configurations, lambda: datetime.now(UTC).isoformat()),
        revise_project=ReviseProject(table, configurations),
        projects=table,
        tokens=tokens,
        audit=AuditTable(room.database),
        rooms=rooms,
        objects=room.objects,
        public_url=(settings.public_url or f"http://{settings.http_bind}").rstrip("/"),
        max_instance_bytes=settings.max_instance_bytes,
        max_body_bytes=settings.max_body_bytes,
    )
    for door in (projects.router, series.router, segmentations.router, radiomics.router, training.runs):
        room.http.include_router(door)
    for door in (training.models, events.router, operations.router, dicomweb.router):
        room.http.include_router(door)
    for fact in events.HEARD:
        room.hear(fact, events.LISTENERS.on_fact)
    room.on_stop(rooms.close)


def main() -> None:
    """Run the gateway."""
    run_room("gateway", Settings, compose, metadata=METADATA, migrations="irp_gateway.adapters.migrations")


if __name__ == "__main__":
    main()
