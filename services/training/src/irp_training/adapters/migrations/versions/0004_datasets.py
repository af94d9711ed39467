"""Where patients of frozen datasets stand, hashes of clinical values, schedules, and why a run did not begin."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0004", "0003", None, None


def upgrade() -> None:
    """Create them; datasets that are there are marked as not read for places yet."""
    op.add_column("project", sa.Column("refusal", sa.String(64), nullable=False, server_default=""))
    op.add_column("dataset", sa.Column("created_at", sa.String(32), nullable=False, server_default=""))
    op.add_column("dataset", sa.Column("placed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "placement",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("patient", sa.String(64), primary_key=True),
        sa.Column("part", sa.String(16), nullable=False),
        sa.Column("site", sa.String(128), nullable=False),
        sa.Column("scanner", sa.String(256), nullable=False),
        sa.Column("dataset", sa.String(64), nullable=False),
    )
    op.create_table(
        "clinical_hash",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("patient", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "schedule",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("rule", sa.String(64), nullable=False),
        sa.Column("next_at", sa.Float, nullable=False),
    )
