"""Inference's tables: what it has heard, so that a restart comes back with the same models."""

from __future__ import annotations

from irp_chassis.departures import add_departures
from irp_chassis.tables import new_metadata
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table, Text

METADATA = new_metadata()
DEPARTURE = add_departures(METADATA)

SERIES = Table(
    "series",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("uid", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("volume", JSON, nullable=False),
    Column("sequence_class", String(64), nullable=False),
    Column("frames", Integer, nullable=False),
)
MODEL = Table(
    "model",
    METADATA,
    Column("name", String(48), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("bundle", JSON, nullable=False),
    Column("signature", Text, nullable=False, server_default=""),
)
CHAMPION = Table(
    "champion",
    METADATA,
    Column("name", String(48), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("aggregate_version", Integer, nullable=False),
    Column("previous", Integer, nullable=False, server_default="0"),  # 0 = none
)
SERVING = Table(
    "serving",
    METADATA,
    Column("name", String(48), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("policy", JSON, nullable=False),
)
KEPT = Table(
    "kept",
    METADATA,
    Column("name", String(48), primary_key=True),
    Column("version", Integer, primary_key=True),
)
GUARDED = Table(
    "guarded",
    METADATA,
    Column("name", String(48), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("precision", String(16), primary_key=True),
    Column("digest", String(64), nullable=False),  # of the bundle
    Column("aggregate_version", BigInteger, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("engine", String(32), nullable=False),
    Column("speedup", Float, nullable=False),
    Column("artefact", JSON, nullable=True),  # ObjectRef
    Index("ix_guarded_digest", "digest"),
)
