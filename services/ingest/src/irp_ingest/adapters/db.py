"""Ingest's tables."""

from __future__ import annotations

from irp_chassis.tables import new_metadata
from sqlalchemy import JSON, Boolean, Column, Float, Index, Integer, LargeBinary, String, Table, Text

METADATA = new_metadata()

SECRET = Table(
    "project_secret",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
INSTANCE = Table(
    "instance",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("sop_uid", String(64), primary_key=True),
    Column("study_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("sop_class", String(64), nullable=False),
    Column("transfer_syntax", String(64), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("object", JSON, nullable=False),
    Column("header", JSON, nullable=False),
    Column("plane", JSON, nullable=True),
    Column("candidates", JSON, nullable=False),
    # with the SOP UID last, a page comes in order without sorting
    Index("ix_instance_study", "project", "study_uid", "series_uid", "sop_uid"),
    Index("ix_instance_series", "project", "series_uid", "sop_uid"),
)
STUDY = Table(
    "study",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("uid", String(64), primary_key=True),
    # what searches ask for most; everything else stands in the header
    Column("patient_id", String, nullable=False),
    Column("patient_name", String, nullable=False),
    Column("study_date", String, nullable=False),
    Column("study_time", String, nullable=False),
    Column("accession_number", String, nullable=False),
    Column("study_id", String, nullable=False),
    Column("study_description", String, nullable=False),
    # of the instance that came first
    Column("header", JSON, nullable=False),
    # with the UIDs last, what is found comes in order without sorting
    Index("ix_study_patient", "project", "patient_id", "uid"),
    Index("ix_study_accession", "project", "accession_number", "uid"),
    Index("ix_study_date", "project", "study_date"),
)
SERIES = Table(
    "series",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("uid", String(64), primary_key=True),
    Column("study_uid", String(64), nullable=False),
    Column("patient", String(32), nullable=False),
    Column("site", String(32), nullable=False),
    Column("project_ref", JSON, nullable=False),
    # receiving, assembled, not_assembled
    Column("state", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("quiet_until", Float, nullable=False),
    Column("queued", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    # of instances, coming and going; never goes back, so that an outcome belongs to one state only
    Column("changes", Integer, nullable=False, server_default="0"),
    Column("result", JSON, nullable=True),
    Column("arrived_at", Float, nullable=False),
    Column("modality", String, nullable=False, server_default=""),
    Column("description", String, nullable=False, server_default=""),
    # of the instance that came first
    Column("header", JSON, nullable=False, server_default="{}"),
    Index("ix_series_study", "project", "study_uid", "uid"),
    Index("ix_series_modality", "project", "modality", "study_uid", "uid"),
    Index("ix_series_description", "project", "description", "study_uid", "uid"),
    Index("ix_series_quiet", "queued", "quiet_until"),
    Index("ix_series_arrived", "project", "arrived_at", "uid"),
)
DELETION = Table(  # of series that instances were deleted from, whether they live on or not
    "deletion",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("series_uid", String(64), primary_key=True),
    # where a series that comes again goes on
    Column("version", Integer, nullable=False),
    Column("changes", Integer, nullable=False),
    # True: its objects are still to be removed, and nothing new comes in
    Column("leaving", Boolean, nullable=False),
    # how often objects were removed: one that was put before must be put again
    Column("removals", Integer, nullable=False),
    Index("ix_deletion_leaving", "leaving"),
)
REJECTION = Table(
    "rejection",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("message", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("at", String(40), nullable=False),
)
CLINICAL = Table(
    "clinical",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("patient", String(32), primary_key=True),
    Column("values", JSON, nullable=False),
    Column("categories", JSON, nullable=False),
    Column("version", Integer, nullable=False),
)
REPORT = Table(
    "report",
    METADATA,
    Column("project", String(48), primary_key=True),
    Column("id", String(64), primary_key=True),
    # ingest, uploader
    Column("by", String(16), nullable=False),
    Column("at", String(40), nullable=False),
    Column("site", String(32), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("instances", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("object", JSON, nullable=False),
    Index("ix_report_at", "project", "at", "id"),
)
QUARANTINE = Table(
    "quarantine",
    METADATA,
    Column("project", String(48), primary_key=True),
    # SOP Instance UID after de-identification
    Column("id", String(64), primary_key=True),
    Column("study_uid", String(64), nullable=False),
    Column("series_uid", String(64), nullable=False),
    Column("sop_class", String(64), nullable=False),
    Column("patient", String(32), nullable=False),
    Column("site", String(32), nullable=False),
    Column("modality", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("candidates", JSON, nullable=False),
    Column("arrived_at", String(40), nullable=False),
    Column("state", String(16), nullable=False),
    Column("decided_by", String(128), nullable=False),
    Column("decided_at", String(40), nullable=False),
    Column("regions", JSON, nullable=False),
    Column("times", Integer, nullable=False),
    # encrypted; null once the decision is carried out
    Column("object", JSON(none_as_null=True), nullable=True),
    Index("ix_quarantine_state", "project", "state", "arrived_at", "id"),
    Index("ix_quarantine_arrived", "project", "arrived_at", "id"),
)
