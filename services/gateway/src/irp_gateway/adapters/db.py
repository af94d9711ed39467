"""The gateway's tables: projects, members, tokens, audit."""

from __future__ import annotations

import json

from irp_chassis.tables import new_metadata
from irp_kernel import ObjectRef
from sqlalchemy import DDL, BigInteger, Boolean, Column, Integer, String, Table, Text, event
from sqlalchemy.dialects import sqlite

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
    Column("project", String(48), nullable=False),
    Column("site", String(128), nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("expires_at", String(40), nullable=False),
)
AUDIT = Table(
    "audit",
    METADATA,
    Column("id", BigInteger().with_variant(sqlite.INTEGER(), "sqlite"), primary_key=True, autoincrement=True),
    Column("at", String(40), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("project", String(48), nullable=False),
    Column("action", String(128), nullable=False),
    Column("target", String(512), nullable=False),
    Column("status", Integer, nullable=False),
)

# Append-only is the database's promise, not the code's habit.
APPEND_ONLY = {
    "sqlite": [
        "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END",
        "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'append-only'); END",
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'append-only'; END $$",
        "CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
    ],
}
for _dialect, _statements in APPEND_ONLY.items():
    for _statement in _statements:
        event.listen(AUDIT, "after_create", DDL(_statement).execute_if(dialect=_dialect))  # type: ignore[no-untyped-call]


def ref_to_text(ref: ObjectRef) -> str:
    """ObjectRef -> JSON text of a column."""
    return json.dumps(
        {"bucket": ref.bucket, "key": ref.key, "sha256": ref.sha256, "size": ref.size, "media_type": ref.media_type}
    )


def ref_from_text(text: str) -> ObjectRef:
    """JSON text of a column -> ObjectRef."""
    return ObjectRef(**json.loads(text))
