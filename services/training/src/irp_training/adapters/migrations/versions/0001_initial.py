"""The tables of the first release."""

import sqlalchemy as sa
from alembic import op
from irp_chassis.migrate import create_chassis_tables

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    create_chassis_tables(op)
    op.create_table(
        "project",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("configuration", sa.JSON, nullable=False),
        sa.Column("masks_since_run", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_table(
        "accepted_case",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("series", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "quality_verdict",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("series", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
    )
    op.create_table(
        "dataset",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(64), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_table(
        "run",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("model", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("cancel_asked", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("ix_run_model", "run", ["model", "created_at"])
    op.create_table(
        "metric",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("run", sa.String(64), primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.create_table(
        "model_version",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("ix_model_digest", "model_version", ["name", "digest"], unique=True)
    op.create_table(
        "promotion",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("sequence", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("actor", sa.String(128), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_table(
        "gate_verdict",
        sa.Column("candidate", sa.String(64), primary_key=True),
        sa.Column("champion", sa.String(64), primary_key=True),
        sa.Column("dataset", sa.String(64), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
