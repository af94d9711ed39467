"""What is found of a version: its report."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0007", "0006", None, None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "model_report",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("model_version", sa.BigInteger, primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
