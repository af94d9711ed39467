"""The first tables of ingest."""

import sqlalchemy as sa
from alembic import op
from irp_chassis.migrate import create_chassis_tables

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    create_chassis_tables(op)
    op.create_table(
        "project_secret",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "instance",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("sop_uid", sa.String(64), primary_key=True),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("series_uid", sa.String(64), nullable=False),
        sa.Column("sop_class", sa.String(64), nullable=False),
        sa.Column("transfer_syntax", sa.String(64), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("object", sa.JSON, nullable=False),
        sa.Column("header", sa.JSON, nullable=False),
        sa.Column("plane", sa.JSON, nullable=True),
        sa.Column("candidates", sa.JSON, nullable=False),
    )
    op.create_index("ix_instance_series", "instance", ["project", "study_uid", "series_uid"])
    op.create_table(
        "series",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("patient", sa.String(32), nullable=False),
        sa.Column("site", sa.String(32), nullable=False),
        sa.Column("project_ref", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("quiet_until", sa.Float, nullable=False),
        sa.Column("queued", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("result", sa.JSON, nullable=True),
        sa.Column("arrived_at", sa.Float, nullable=False),
    )
    op.create_index("ix_series_quiet", "series", ["queued", "quiet_until"])
    op.create_table(
        "rejection",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("reason", sa.String(64), primary_key=True),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
    )
    op.create_table(
        "clinical",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("patient", sa.String(32), primary_key=True),
        sa.Column("values", sa.JSON, nullable=False),
        sa.Column("categories", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )
