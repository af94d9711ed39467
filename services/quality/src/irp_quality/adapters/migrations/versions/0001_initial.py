"""The first tables of quality."""

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
        sa.Column("fact", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("project", "uid", name="pk_series"),
    )
    op.create_table(
        "assessment",
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        sa.Column("volume", sa.JSON, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("software", sa.String(64), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("project", "uid", name="pk_assessment"),
    )
    op.create_table(
        "rating",
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("uid", sa.String(64), nullable=False),
        sa.Column("rater", sa.String(128), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("stars", sa.Integer, nullable=False),
        sa.Column("form", sa.JSON, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.PrimaryKeyConstraint("project", "uid", "rater", name="pk_rating"),
    )
    op.create_table(
        "form",
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("questions", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("project", "revision", name="pk_form"),
    )
