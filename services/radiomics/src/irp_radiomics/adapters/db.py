"""Radiomics' tables."""

from __future__ import annotations

from irp_chassis.departures import add_departures
from irp_chassis.tables import new_metadata
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Integer, String, Table

METADATA = new_metadata()
add_departures(METADATA)

SERIES = Table(  # the newest volume of each series
    "series",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("volume_sha256", String(64), nullable=False),
)
PROPOSAL = Table(  # the newest proposed mask of each series, of any model
    "proposal",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("at", String(40), nullable=False),
    Column("volume_sha256", String(64), nullable=False),
    Column("mask", JSON, nullable=False),
)
CASE = Table(  # the newest accepted mask of each series
    "case",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    Column("patient", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("volume", JSON, nullable=False),
    Column("mask", JSON, nullable=False),
    Column("extracted", Boolean, nullable=False),
    Column("function", JSON(none_as_null=True), nullable=True),
    Column("provenance", JSON(none_as_null=True), nullable=True),
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
    Column("patient", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("values", JSON, nullable=False),
    Column("categories", JSON, nullable=False),
)
EXTRACTION = Table(
    "extraction",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("id", String(96), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("fraction", Float, nullable=False),
    Column("eta_s", Float, nullable=False),
    Column("series", Integer, nullable=False),
    Column("rois", Integer, nullable=False),
    Column("reason", String(128), nullable=False),
)
