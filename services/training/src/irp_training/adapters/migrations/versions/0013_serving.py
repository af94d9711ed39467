"""What operators said of which version answers."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0013", "0012", None, None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "serving",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("revision", sa.BigInteger, primary_key=True),
        sa.Column("document", sa.JSON, nullable=False),
    )
