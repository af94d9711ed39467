"""What is remembered of series that were deleted."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "departure",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("series_uid", sa.String(64), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("held_until", sa.Float, nullable=False),
    )
