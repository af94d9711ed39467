"""Projects and their members in SQL."""

from __future__ import annotations

from typing import Any

from irp.common.v1 import types_pb2
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis.db import Database, Transaction
from irp_chassis.wire import object_ref_to_proto
from irp_kernel import ObjectRef
from sqlalchemy import bindparam, select

from irp_gateway.adapters.db import MEMBER, PROJECT, ref_from_text, ref_to_text
from irp_gateway.app.ports import Project
from irp_gateway.domain.errors import LastOwner, MemberUnknown, ProjectExists, RevisionChanged
from irp_gateway.domain.roles import Identity, Member

# Made once: every request in a project asks this, and to make it takes as long as to ask.
PROJECT_AND_MEMBER = (
    select(PROJECT, MEMBER.c.roles)
    .outerjoin(MEMBER, (MEMBER.c.project == PROJECT.c.id) & (MEMBER.c.subject == bindparam("subject")))
    .where(PROJECT.c.id == bindparam("project"))
)


class ProjectRows:
    """See Projects and Members."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, project: Project, owner: str, *, by_admin: bool = False) -> None:
        """See Projects.add."""
        async with self._database.transaction() as tx:
            if not await tx.insert_once(PROJECT, _row(project), keys=("id",)):
                raise ProjectExists(f"project {project.id}")
            member = {"project": project.id, "subject": owner, "roles": "owner"}
            await tx.upsert(MEMBER, member, keys=("project", "subject"))
            await tx.announce(_configured(project, by_admin))

    async def revise(self, project: Project, expected_revision: int, *, by_admin: bool = False) -> None:
        """See Projects.revise."""
        async with self._database.transaction() as tx:
            changed = await tx.execute(
                PROJECT.update()
                .where(PROJECT.c.id == project.id, PROJECT.c.revision == expected_revision)
                .values(**_row(project))
            )
            if changed.rowcount != 1:
                raise RevisionChanged
            await tx.announce(_configured(project, by_admin))

    async def find(self, id: str, subject: str) -> tuple[Project, Member | None] | None:
        """See Projects.find."""
        asked = {"project": id, "subject": subject}
        async with self._database.read() as connection:
            row = (await connection.execute(PROJECT_AND_MEMBER, asked)).mappings().first()
        if row is None:
            return None
        roles = row["roles"]
        return _project(row), Member(subject=subject, roles=frozenset(roles.split(","))) if roles else None

    async def of(self, identity: Identity, *, after: str, limit: int) -> list[Project]:
        """The projects that an identity may see, by name, after a name."""
        query = select(PROJECT).where(PROJECT.c.id > after).order_by(PROJECT.c.id).limit(limit)
        if identity.project:
            query = query.where(PROJECT.c.id == identity.project)
        if not identity.admin:
            mine = select(MEMBER.c.project).where(MEMBER.c.subject == identity.subject)
            query = query.where(PROJECT.c.id.in_(mine))
        async with self._database.read() as connection:
            return [_project(row) for row in (await connection.execute(query)).mappings()]

    async def configurations(self) -> list[ObjectRef]:
        """Every configuration that a project is at: for `irp verify`."""
        async with self._database.read() as connection:
            return [
                ref_from_text(text) for text in (await connection.execute(select(PROJECT.c.configuration))).scalars()
            ]

    async def member(self, project: str, subject: str) -> Member | None:
        """Membership, or None."""
        query = select(MEMBER).where(MEMBER.c.project == project, MEMBER.c.subject == subject)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return _member(row) if row else None

    async def members(self, project: str, *, after: str, limit: int) -> list[Member]:
        """Members by subject, after a subject."""
        query = select(MEMBER).where(MEMBER.c.project == project, MEMBER.c.subject > after)
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(MEMBER.c.subject).limit(limit))).all()
        return [_member(row) for row in rows]

    async def put_member(self, project: str, member: Member) -> None:
        """See Members.put_member."""
        row = {"project": project, "subject": member.subject, "roles": ",".join(sorted(member.roles))}
        async with self._database.transaction() as tx:
            await tx.upsert(MEMBER, row, keys=("project", "subject"))
            await _keep_an_owner(tx, project)

    async def remove_member(self, project: str, subject: str) -> None:
        """See Members.remove_member."""
        async with self._database.transaction() as tx:
            gone = await tx.execute(MEMBER.delete().where(MEMBER.c.project == project, MEMBER.c.subject == subject))
            if gone.rowcount != 1:
                raise MemberUnknown
            await _keep_an_owner(tx, project)


async def _keep_an_owner(tx: Transaction, project: str) -> None:
    roles = (await tx.execute(select(MEMBER.c.roles).where(MEMBER.c.project == project))).scalars()
    if not any("owner" in text.split(",") for text in roles):
        raise LastOwner


def _member(row: Any) -> Member:
    return Member(subject=row.subject, roles=frozenset(row.roles.split(",")))


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


def _configured(project: Project, by_admin: bool) -> ProjectConfigured:
    return ProjectConfigured(
        project=types_pb2.ProjectRef(
            id=project.id, revision=project.revision, configuration=object_ref_to_proto(project.configuration)
        ),
        aggregate=types_pb2.Aggregate(id=project.id, version=project.revision),
        by_admin=by_admin,
    )
