"""What operators say about serving models."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "serving",
        sa.Column("name", sa.String(48), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("policy", sa.JSON, nullable=False),
    )
    op.create_table(
        "kept",
        sa.Column("name", sa.String(48), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
    )
