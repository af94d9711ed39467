"""The first tables of inference."""

import sqlalchemy as sa
from alembic import op
from irp_chassis.migrate import create_chassis_tables

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    create_chassis_tables(op)
    op.create_table(
        "series",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("uid", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("volume", sa.JSON, nullable=False),
        sa.Column("sequence_class", sa.String(64), nullable=False),
        sa.Column("frames", sa.Integer, nullable=False),
    )
    op.create_table(
        "model",
        sa.Column("name", sa.String(48), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("bundle", sa.JSON, nullable=False),
    )
    op.create_table(
        "champion",
        sa.Column("name", sa.String(48), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("aggregate_version", sa.Integer, nullable=False),
    )
