"""The room's tables. Runs and models keep their nouns as one JSON document beside the columns that are asked for."""

from __future__ import annotations

from irp_chassis.departures import add_departures
from irp_chassis.tables import new_metadata
from sqlalchemy import JSON, BigInteger, Boolean, Column, Float, Index, Integer, String, Table, false

from irp_training.adapters.container_tables import add_container_tables

METADATA = new_metadata()
add_departures(METADATA)
add_container_tables(METADATA)

PROJECT = Table(
    "project",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("revision", BigInteger, nullable=False),
    Column("configuration", JSON, nullable=False),  # ObjectRef
    # accepted masks since the last run that began by itself
    Column("masks_since_run", Integer, nullable=False, server_default="0"),
    # why the latest run that was to begin by itself could not; empty = it could
    Column("refusal", String(64), nullable=False, server_default=""),
    # an administrator made this revision
    Column("by_admin", Boolean, nullable=False, server_default=false()),
)
ACCEPTED = Table(
    "accepted_case",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("series", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),  # Case
)
VERDICT = Table(
    "quality_verdict",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("series", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("verdict", String(16), nullable=False),
)
DATASET = Table(
    "dataset",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("digest", String(64), primary_key=True),
    Column("document", JSON, nullable=False),  # DatasetRow
    Column("created_at", String(32), nullable=False, server_default=""),
    # whether the places of its patients are kept; False only for datasets of before places were
    Column("placed", Boolean, nullable=False, server_default=false()),
    # whether the hashes of its held-out images are kept; False only for datasets of before they were
    Column("images_kept", Boolean, nullable=False, server_default=false()),
    Index("ix_dataset_created", "project", "created_at", "digest"),
)
PLACEMENT = Table(
    "placement",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("patient", String(64), primary_key=True),
    Column("part", String(16), nullable=False),
    Column("site", String(128), nullable=False),
    Column("scanner", String(256), nullable=False),
    Column("dataset", String(64), nullable=False),  # digest of the one that put the patient there
)
HELD_OUT_IMAGE = Table(
    "held_out_image",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("sha256", String(64), primary_key=True),  # of a volume that some frozen dataset holds out
)
CLINICAL = Table(
    "clinical_hash",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("patient", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)
SCHEDULE = Table(
    "schedule",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("rule", String(64), nullable=False),
    Column("next_at", Float, nullable=False),  # seconds since 1970
)
RUN = Table(
    "run",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("cancel_asked", Boolean, nullable=False),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("created_at", String(32), nullable=False),
    Column("document", JSON, nullable=False),  # Run
    Index("ix_run_model", "model", "created_at"),
    Index("ix_run_created", "project", "created_at", "id"),
)
METRIC = Table(
    "metric",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("run", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("value", Float, nullable=False),
)
OVERLAY = Table(
    "run_overlay",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("run", String(64), primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("which", String(16), primary_key=True),
    Column("document", JSON, nullable=False),  # KeptOverlay
)
MODEL = Table(
    "model_version",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("document", JSON, nullable=False),  # Model
    Index("ix_model_digest", "name", "digest", unique=True),
)
PROMOTION = Table(
    "promotion",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("actor", String(128), nullable=False),
    Column("at", String(32), nullable=False),
    Column("reason", String(400), nullable=False, server_default=""),
)
CANDIDACY = Table(
    "candidacy",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),  # Candidacy
)
PRECISION_TRIAL = Table(
    "precision_trial",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("model_version", BigInteger, primary_key=True),
    Column("precision", String(16), primary_key=True),
    Column("document", JSON, nullable=False),  # Trial
)
MODEL_REPORT = Table(
    "model_report",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("model_version", BigInteger, primary_key=True),
    Column("document", JSON, nullable=False),  # Appraisal
)
PROPOSAL = Table(
    "proposal",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("series", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),  # of the volume
    Column("document", JSON, nullable=False),  # Proposal
)
CORRECTION = Table(
    "correction",
    METADATA,
    Column("project", String(64), primary_key=True),
    Column("series", String(64), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("model_version", BigInteger, primary_key=True),
    Column("at", String(32), nullable=False),
    Column("document", JSON, nullable=False),  # Correction
    Index("ix_correction_model", "name", "model_version", "at"),
)
DRIFT = Table(
    "drift",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("model_version", BigInteger, primary_key=True),
    Column("by", String(16), primary_key=True),
    Column("value", String(128), primary_key=True),
    Column("document", JSON, nullable=False),  # Drift
)
VALIDATION = Table(
    "validation",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("model_version", BigInteger, primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("document", JSON, nullable=False),  # Validation
)
SERVING = Table(
    "serving",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("revision", BigInteger, primary_key=True),
    Column("document", JSON, nullable=False),  # Serving
)
