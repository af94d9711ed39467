"""The first tables of annotation."""

import sqlalchemy as sa
from alembic import op
from irp_chassis.migrate import create_chassis_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create them."""
    create_chassis_tables(op)
    op.create_table(
        "series",
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("geometry", sa.JSON, nullable=False),
        sa.Column("volume", sa.JSON, nullable=False),
        sa.Column("header", sa.JSON, nullable=False),
        sa.Column("instances", sa.JSON, nullable=False),
        sa.Column("passport", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("project", "uid", name="pk_series"),
    )
    op.create_table(
        "counter",
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("series_uid", sa.String(64), nullable=False),
        sa.Column("versions", sa.BigInteger, nullable=False),
        sa.Column("accepted", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("project", "series_uid", name="pk_counter"),
    )
    op.create_table(
        "segmentation",
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("series_uid", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("volume_version", sa.BigInteger, nullable=False),
        sa.Column("mask", sa.JSON, nullable=False),
        sa.Column("structures", sa.JSON, nullable=False),
        sa.Column("provenance", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("project", "id", name="pk_segmentation"),
        sa.UniqueConstraint("project", "series_uid", "version", name="uq_segmentation_version"),
    )
    op.create_table(
        "drawn",
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("configuration", sa.String(64), nullable=False),
        sa.Column("structures", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("project", "configuration", name="pk_drawn"),
    )
