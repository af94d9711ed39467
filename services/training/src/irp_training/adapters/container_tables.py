"""Tables of containers, their runs, challenges and entries: each noun as one JSON document beside its keys."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, MetaData, String, Table

CONTAINER, CONTAINER_RUN, CHALLENGE, ENTRY = "container_version", "container_run", "challenge", "challenge_entry"


def add_container_tables(metadata: MetaData) -> None:
    """Declare them."""
    Table(
        CONTAINER,
        metadata,
        Column("name", String(64), primary_key=True),
        Column("version", BigInteger, primary_key=True),
        Column("digest", String(64), nullable=False),
        Column("document", JSON, nullable=False),  # Container
        Index("ix_container_digest", "name", "digest", unique=True),
    )
    Table(
        CONTAINER_RUN,
        metadata,
        Column("project", String(64), primary_key=True),
        Column("id", String(64), primary_key=True),
        Column("series", String(64), nullable=False),
        Column("created_at", String(32), nullable=False),
        Column("project_document", JSON, nullable=False),  # Project, whose revision the proposal carries
        Column("document", JSON, nullable=False),  # ContainerRun
        Index("ix_container_run_series", "project", "series"),
        Index("ix_container_run_created", "project", "created_at", "id"),
    )
    Table(
        CHALLENGE,
        metadata,
        Column("name", String(64), primary_key=True),
        Column("document", JSON, nullable=False),  # Challenge
    )
    Table(
        ENTRY,
        metadata,
        Column("challenge", String(64), primary_key=True),
        Column("id", String(64), primary_key=True),
        Column("team", String(128), nullable=False),
        Column("entered_at", String(32), nullable=False),
        Column("document", JSON, nullable=False),  # Entry
        Column("cases", JSON, nullable=False),  # scores per case; they never leave the room
    )
