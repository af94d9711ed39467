"""The first tables of radiomics."""

import sqlalchemy as sa
from alembic import op
from irp_chassis.migrate import create_chassis_tables

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    create_chassis_tables(op)
    op.create_table(
        "series",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("series_uid", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("volume_sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "proposal",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("series_uid", sa.String(64), primary_key=True),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("volume_sha256", sa.String(64), nullable=False),
        sa.Column("mask", sa.JSON, nullable=False),
    )
    op.create_table(
        "case",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("series_uid", sa.String(64), primary_key=True),
        sa.Column("patient", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("volume", sa.JSON, nullable=False),
        sa.Column("mask", sa.JSON, nullable=False),
        sa.Column("extracted", sa.Boolean, nullable=False),
        sa.Column("function", sa.JSON, nullable=True),
        sa.Column("provenance", sa.JSON, nullable=True),
    )
    op.create_table(
        "feature",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("series_uid", sa.String(64), primary_key=True),
        sa.Column("roi", sa.String(64), primary_key=True),
        sa.Column("feature", sa.String(128), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
    )
    op.create_table(
        "clinical",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("patient", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("values", sa.JSON, nullable=False),
        sa.Column("categories", sa.JSON, nullable=False),
    )
    op.create_table(
        "extraction",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("id", sa.String(96), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("fraction", sa.Float, nullable=False),
        sa.Column("eta_s", sa.Float, nullable=False),
        sa.Column("series", sa.Integer, nullable=False),
        sa.Column("rois", sa.Integer, nullable=False),
        sa.Column("reason", sa.String(128), nullable=False),
    )
