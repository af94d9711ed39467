"""Tables that every room keeps beside its own: outbox, inbox, jobs."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Float, Index, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects import sqlite

_Id = BigInteger().with_variant(sqlite.INTEGER(), "sqlite")

NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def new_metadata() -> MetaData:
    """A room's MetaData, which already holds the chassis' tables."""
    metadata = MetaData(naming_convention=NAMING)
    add_chassis_tables(metadata)
    return metadata


def add_chassis_tables(metadata: MetaData) -> None:
    """Declare outbox, inbox and job."""
    Table(
        "outbox",
        metadata,
        Column("id", _Id, primary_key=True, autoincrement=True),
        Column("message_id", String(64), nullable=False),
        Column("subject", String(256), nullable=False),
        Column("data", LargeBinary, nullable=False),
        Column("traceparent", String(64), nullable=False, server_default=""),
        Column("at", Float, nullable=False),
    )
    Table(
        "inbox",
        metadata,
        Column("durable", String(128), primary_key=True),
        Column("message_id", String(64), primary_key=True),
        # failing: counted; parked: put aside; replay: to be handled again; done
        Column("state", String(16), nullable=False),
        Column("failures", Integer, nullable=False, server_default="0"),
        Column("reason", String(128), nullable=False, server_default=""),
        Column("subject", String(256), nullable=False, server_default=""),
        Column("data", LargeBinary, nullable=True),
        Column("at", Float, nullable=False),
        Index("ix_inbox_state", "state"),
    )
    Table(
        "job",
        metadata,
        Column("kind", String(64), primary_key=True),
        Column("key", String(256), primary_key=True),
        Column("payload", JSON, nullable=False),
        # queued, running, done, failed
        Column("state", String(16), nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
        Column("owner", String(64), nullable=False, server_default=""),
        Column("lease_until", Float, nullable=False, server_default="0"),
        Column("not_before", Float, nullable=False, server_default="0"),
        Column("reason", String(128), nullable=False, server_default=""),
        Column("created_at", Float, nullable=False),
        Index("ix_job_state", "kind", "state", "created_at"),
    )
