"""What the guard said of reduced precisions."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0004", "0003", None, None


def upgrade() -> None:
    """Create it."""
    op.create_table(
        "guarded",
        sa.Column("name", sa.String(48), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("precision", sa.String(16), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("aggregate_version", sa.BigInteger, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("engine", sa.String(32), nullable=False),
        sa.Column("speedup", sa.Float, nullable=False),
        sa.Column("artefact", sa.JSON, nullable=True),
    )
    op.create_index("ix_guarded_digest", "guarded", ["digest"])
