"""Signatures of versions, and the champion before the champion."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0005", "0004", None, None


def upgrade() -> None:
    """Add them."""
    op.add_column("model", sa.Column("signature", sa.Text, nullable=False, server_default=""))
    op.add_column("champion", sa.Column("previous", sa.Integer, nullable=False, server_default="0"))
