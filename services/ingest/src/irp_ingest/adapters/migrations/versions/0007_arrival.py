"""Series are listed page by page, in the order in which they arrived."""

from alembic import op

revision, down_revision, branch_labels, depends_on = "0007", "0006", None, None


def upgrade() -> None:
    op.create_index("ix_series_arrived", "series", ["project", "arrived_at", "uid"])
