"""Whether an administrator made the revision that a project is at."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0010", "0009", None, None


def upgrade() -> None:
    """Add it; of the revisions that are there it is not known, so that what their runs make waits once."""
    op.add_column("project", sa.Column("by_admin", sa.Boolean, nullable=False, server_default=sa.false()))
