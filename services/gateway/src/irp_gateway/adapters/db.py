"""The gateway's tables: projects, members, tokens, audit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis.db import Database
from irp_chassis.tables import new_metadata
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import ObjectRef
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Table, Text, select
from sqlalchemy.dialects import sqlite

from irp_gateway.app.ports import Project
from irp_gateway.domain.errors import ProjectExists, RevisionChanged
from irp_gateway.domain.roles import Identity, Member

METADATA = new_metadata()

PROJECT = Table(
    "project",
    METADATA,
    Column("id", String(48), primary_key=True),
    Column("title", String(200), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("configuration", Text, nullable=False),
    Column("created_at", String(40), nullable=False),
)
MEMBER = Table(
    "member",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("subject", String(128), primary_key=True),
    Column("roles", String(256), nullable=False),
)
TOKEN = Table(
    "token",
    METADATA,
    Column("sha256", String(64), primary_key=True),
    Column("subject", String(128), nullable=False),
    Column("admin", Boolean, nullable=False),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", BigInteger().with_variant(sqlite.INTEGER(), "sqlite"), primary_key=True, autoincrement=True),
    Column("at", String(40), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("project", String(48), nullable=False),
    Column("action", String(128), nullable=False),
    Column("target", String(256), nullable=False),
    Column("status", Integer, nullable=False),
)


def ref_to_text(ref: ObjectRef) -> str:
    """ObjectRef -> JSON text of a column."""
    return json.dumps(
        {"bucket": ref.bucket, "key": ref.key, "sha256": ref.sha256, "size": ref.size, "media_type": ref.media_type}
    )


def ref_from_text(text: str) -> ObjectRef:
    """JSON text of a column -> ObjectRef."""
    return ObjectRef(**json.loads(text))


class ProjectTable:
    """Projects, members and tokens in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, project: Project, owner: str) -> None:
        """See Projects.add."""
        async with self._database.transaction() as tx:
            if not await tx.insert_once(PROJECT, _row(project), keys=("id",)):
                raise ProjectExists(f"project {project.id}")
            member = {"project": project.id, "subject": owner, "roles": "owner"}
            await tx.upsert(MEMBER, member, keys=("project", "subject"))
            await tx.announce(_configured(project))

    async def revise(self, project: Project, expected_revision: int) -> None:
        """See Projects.revise."""
        async with self._database.transaction() as tx:
            changed = await tx.execute(
                PROJECT.update()
                .where(PROJECT.c.id == project.id, PROJECT.c.revision == expected_revision)
                .values(**_row(project))
            )
            if changed.rowcount != 1:
                raise RevisionChanged
            await tx.announce(_configured(project))

    async def get(self, id: str) -> Project | None:
        """See Projects.get."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(PROJECT).where(PROJECT.c.id == id))).mappings().first()
        return _project(row) if row else None

    async def of(self, identity: Identity) -> list[Project]:
        """See Projects.of."""
        query = select(PROJECT).order_by(PROJECT.c.id)
        if not identity.admin:
            mine = select(MEMBER.c.project).where(MEMBER.c.subject == identity.subject)
            query = query.where(PROJECT.c.id.in_(mine))
        async with self._database.read() as connection:
            return [_project(row) for row in (await connection.execute(query)).mappings()]

    async def member(self, project: str, subject: str) -> Member | None:
        """See Projects.member."""
        return next((m for m in await self.members(project) if m.subject == subject), None)

    async def put_member(self, project: str, member: Member) -> None:
        """See Projects.put_member."""
        row = {"project": project, "subject": member.subject, "roles": ",".join(sorted(member.roles))}
        async with self._database.transaction() as tx:
            await tx.upsert(MEMBER, row, keys=("project", "subject"))

    async def members(self, project: str) -> list[Member]:
        """See Projects.members."""
        query = select(MEMBER).where(MEMBER.c.project == project).order_by(MEMBER.c.subject)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [Member(subject=row.subject, roles=frozenset(row.roles.split(","))) for row in rows]


class TokenTable:
    """Hashes of bearer tokens in SQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, token_sha256: str) -> Identity | None:
        """See Tokens.find."""
        async with self._database.read() as connection:
            row = (await connection.execute(select(TOKEN).where(TOKEN.c.sha256 == token_sha256))).first()
        return Identity(subject=row.subject, admin=row.admin) if row else None

    async def add(self, token_sha256: str, identity: Identity) -> None:
        """See Tokens.add."""
        row = {"sha256": token_sha256, "subject": identity.subject, "admin": identity.admin}
        async with self._database.transaction() as tx:
            await tx.insert_once(TOKEN, row, keys=("sha256",))


class AuditTable:
    """Who did what to which identifiers, when; append-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(self, *, subject: str, project: str, action: str, target: str, status: int) -> None:
        """Append one line."""
        row = {"subject": subject, "project": project, "action": action, "target": target[:256], "status": status}
        async with self._database.transaction() as tx:
            await tx.execute(AUDIT.insert().values(at=datetime.now(UTC).isoformat(), **row))

    async def lines(self, *, after: int, limit: int) -> list[dict[str, Any]]:
        """Lines after an id, oldest first."""
        query = select(AUDIT).where(AUDIT.c.id > after).order_by(AUDIT.c.id).limit(limit)
        async with self._database.read() as connection:
            return [dict(row) for row in (await connection.execute(query)).mappings()]


def _row(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "title": project.title,
        "revision": project.revision,
        "configuration": ref_to_text(project.configuration),
        "created_at": project.created_at,
    }


def _project(row: Any) -> Project:
    return Project(
        id=row["id"],
        title=row["title"],
        revision=row["revision"],
        configuration=ref_from_text(row["configuration"]),
        created_at=row["created_at"],
    )


def _configured(project: Project) -> ProjectConfigured:
    return ProjectConfigured(
        project=types_pb2.ProjectRef(
            id=project.id, revision=project.revision, configuration=object_ref_to_proto(project.configuration)
        ),
        aggregate=types_pb2.Aggregate(id=project.id, version=project.revision),
    )
