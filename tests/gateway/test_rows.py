"""What you learn here: the gateway's rows keep their promises on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from irp.gateway.v1.events_pb2 import ProjectConfigured
from irp_chassis.db import Database
from irp_gateway.adapters.audit_rows import AuditRows
from irp_gateway.adapters.db import AUDIT, METADATA
from irp_gateway.adapters.project_rows import ProjectRows
from irp_gateway.adapters.token_rows import TokenRows
from irp_gateway.app.ports import Project, Token
from irp_gateway.domain.errors import LastOwner, MemberUnknown, ProjectExists, RevisionChanged, TokenUnknown
from irp_gateway.domain.roles import Identity, Member
from irp_kernel import ObjectRef
from sqlalchemy import MetaData, Table, select
from sqlalchemy.exc import DBAPIError

REF = ObjectRef(bucket="irp-gateway", key="k", sha256="0" * 64, size=2, media_type="application/json")


@pytest.fixture
def metadata() -> MetaData:
    return METADATA


def a_project(name: str = "hearts", revision: int = 1) -> Project:
    return Project(id=name, title="T", revision=revision, configuration=REF, created_at="2026-01-01T00:00:00+00:00")


async def test_a_project_is_added_once_announced_and_revised_by_one_of_two(either_database: Database) -> None:
    rows = ProjectRows(either_database)
    await rows.add(a_project(), "reader", by_admin=True)
    with pytest.raises(ProjectExists):
        await rows.add(a_project(), "thief")
    assert await rows.member("hearts", "thief") is None
    revised = a_project(revision=2)
    answers = await asyncio.gather(*(rows.revise(revised, 1) for _ in range(4)), return_exceptions=True)
    assert max(type(answer).__name__ for answer in answers) in {"RevisionChanged", "NoneType"}
    assert answers.count(None) == 1
    assert await rows.find("hearts", "reader") == (revised, Member(subject="reader", roles=frozenset({"owner"})))
    assert await rows.find("hearts", "thief") == (revised, None)
    assert await rows.find("lungs", "reader") is None
    async with either_database.read() as connection:
        outbox = METADATA.tables["outbox"]
        facts = (await connection.execute(select(outbox.c.subject, outbox.c.data))).all()
    assert [fact.subject for fact in facts] == ["irp.gateway.v1.project.configured.hearts"] * 2
    said = {told.aggregate.version: told.by_admin for told in (ProjectConfigured.FromString(f.data) for f in facts)}
    assert said == {1: True, 2: False}
    with pytest.raises(RevisionChanged):
        await rows.revise(replace(revised, revision=3), 1)
    assert await rows.configurations() == [REF]


async def test_one_sees_ones_own_projects_page_by_page(either_database: Database) -> None:
    rows = ProjectRows(either_database)
    for name in ("a1", "b1", "c1"):
        await rows.add(a_project(name), "reader" if name != "b1" else "other")
    reader, root = Identity(subject="reader"), Identity(subject="root", admin=True)
    assert [p.id for p in await rows.of(reader, after="", limit=10)] == ["a1", "c1"]
    assert [p.id for p in await rows.of(reader, after="a1", limit=10)] == ["c1"]
    assert [p.id for p in await rows.of(root, after="", limit=2)] == ["a1", "b1"]
    assert [p.id for p in await rows.of(replace(reader, project="c1"), after="", limit=2)] == ["c1"]
    assert await rows.of(replace(reader, project="b1"), after="", limit=2) == []


async def test_a_project_keeps_an_owner(either_database: Database) -> None:
    rows = ProjectRows(either_database)
    await rows.add(a_project(), "first")
    with pytest.raises(LastOwner):
        await rows.put_member("hearts", Member(subject="first", roles=frozenset({"viewer"})))
    assert (await rows.members("hearts", after="", limit=9))[0].roles == {"owner"}
    await rows.put_member("hearts", Member(subject="second", roles=frozenset({"owner", "viewer"})))
    await rows.remove_member("hearts", "first")
    with pytest.raises(MemberUnknown):
        await rows.remove_member("hearts", "first")
    with pytest.raises(LastOwner):
        await rows.remove_member("hearts", "second")


async def test_tokens_are_found_by_hash_and_revoked_by_id_in_their_project_only(either_database: Database) -> None:
    rows = TokenRows(either_database)
    identity = Identity(subject="reader", project="hearts", site="kiel")
    token = Token(sha256="ab" * 32, identity=identity, created_at="2026", expires_at="")
    await rows.add(token)
    assert await rows.find("ab" * 32) == token
    assert await rows.find("cd" * 32) is None
    assert await rows.of("hearts", after="", limit=5) == [token]
    assert await rows.of("lungs", after="", limit=5) == []
    with pytest.raises(TokenUnknown):
        await rows.revoke(token.id, "lungs")
    await rows.revoke(token.id, None)
    assert await rows.of(None, after="", limit=5) == []


async def test_the_database_itself_refuses_to_change_the_audit_log(either_database: Database) -> None:
    audit = AuditRows(either_database)
    for number in range(3):
        await audit.write(subject="s", project=f"p{number % 2}", action="a", target="x" * 600, status=200)
    lines = await audit.lines(project="", after=0, limit=10)
    assert [line.project for line in lines] == ["p0", "p1", "p0"]
    assert len(lines[0].target) == 512
    assert [line.id for line in await audit.lines(project="p0", after=lines[0].id, limit=10)] == [lines[2].id]
    for statement in (AUDIT.update().values(subject="x"), AUDIT.delete()):
        with pytest.raises(DBAPIError, match="append-only"):
            async with either_database.transaction() as tx:
                await tx.execute(statement)
    assert len(await audit.lines(project="", after=0, limit=10)) == 3


async def test_lines_of_many_readers_share_commits_and_each_is_written_when_its_writer_goes_on(
    either_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, whole = 0, either_database.append

    async def counted(*said: Any) -> None:
        nonlocal commits
        commits += 1
        await whole(*said)

    monkeypatch.setattr(either_database, "append", counted)
    audit = AuditRows(either_database)

    async def reader(number: int) -> None:
        await audit.write(subject=f"s{number}", project="p", action="a", target="", status=200)
        lines = await audit.lines(project="p", after=0, limit=100)
        assert f"s{number}" in {line.subject for line in lines}

    await asyncio.gather(*(reader(number) for number in range(40)))
    assert len(await audit.lines(project="p", after=0, limit=100)) == 40
    assert commits < 10


async def test_a_line_that_the_database_does_not_take_takes_no_other_with_it(
    either_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, whole = AuditRows(either_database), either_database.append

    async def picky(table: Table, rows: Any) -> None:
        if any(row["subject"] == "s2" for row in rows):
            raise ValueError("a NUL, say")
        await whole(table, rows)

    monkeypatch.setattr(either_database, "append", picky)
    lines = [audit.write(subject=f"s{n}", project="p", action="a", target="", status=200) for n in range(5)]
    said = await asyncio.gather(*lines, return_exceptions=True)
    assert [type(error) for error in said if error is not None] == [ValueError]
    written = {line.subject for line in await audit.lines(project="p", after=0, limit=9)}
    assert written == {"s0", "s1", "s3", "s4"}


async def test_a_reader_who_leaves_takes_no_line_with_him_and_a_failed_commit_is_told_to_all_who_shared_it(
    either_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = AuditRows(either_database)

    def write(number: int) -> asyncio.Task[None]:
        line = audit.write(subject=f"s{number}", project="p", action="a", target="", status=200)
        return asyncio.create_task(line)

    leaves, stays = write(1), write(2)
    await asyncio.sleep(0)
    leaves.cancel()
    await stays
    assert {line.subject for line in await audit.lines(project="p", after=0, limit=9)} == {"s1", "s2"}

    def away(*_: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(either_database, "append", away)
        failed = await asyncio.gather(write(3), write(4), return_exceptions=True)
    assert [type(error) for error in failed] == [OSError, OSError]
    await write(5)
    assert {line.subject for line in await audit.lines(project="p", after=0, limit=9)} == {"s1", "s2", "s5"}
