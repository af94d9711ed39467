"""Radiomics' tables."""

from __future__ import annotations

from irp_chassis.tables import new_metadata
from sqlalchemy import JSON, Boolean, Column, Float, Integer, String, Table

METADATA = new_metadata()

CASE = Table(
    "case",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("patient", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("volume", JSON, nullable=False),
    Column("mask", JSON, nullable=False),
    Column("extracted", Boolean, nullable=False),
    Column("function", JSON, nullable=True),
)
FEATURE = Table(
    "feature",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("roi", String(64), primary_key=True),
    Column("feature", String(128), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("value", Float, nullable=False),
)
CLINICAL = Table(
    "clinical",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("patient", String(32), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("values", JSON, nullable=False),
    Column("categories", JSON, nullable=False),
)
EXTRACTION = Table(
    "extraction",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("fraction", Float, nullable=False),
    Column("eta_s", Float, nullable=False),
    Column("series", Integer, nullable=False),
    Column("rois", Integer, nullable=False),
    Column("reason", String(64), nullable=False),
)
