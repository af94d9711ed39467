"""Reduced precisions before their guard."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "precision_trial",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("model_version", sa.BigInteger, primary_key=True),
        sa.Column("precision", sa.String(16), primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
