"""Which of the waiting runs begins first."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0005", "0004", None, None


def upgrade() -> None:
    """Add it; runs that are there keep their age as their order."""
    op.add_column("run", sa.Column("priority", sa.Integer, nullable=False, server_default="0"))
