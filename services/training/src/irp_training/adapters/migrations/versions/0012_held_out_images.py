"""Hashes of images that frozen datasets hold out: the same image under another pseudonym is not learnt from."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0012", "0011", None, None


def upgrade() -> None:
    """Create the table; manifests of datasets that are there are read for it before it is asked."""
    op.add_column("dataset", sa.Column("images_kept", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "held_out_image",
        sa.Column("project", sa.String(64), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
    )
