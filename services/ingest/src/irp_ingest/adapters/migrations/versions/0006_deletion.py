"""Series remember what was deleted of them; what came and went is counted beside what is there."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0006", "0005", None, None


def upgrade() -> None:
    op.create_table(
        "deletion",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("series_uid", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("changes", sa.Integer, nullable=False),
        sa.Column("leaving", sa.Boolean, nullable=False),
        sa.Column("removals", sa.Integer, nullable=False),
    )
    op.create_index("ix_deletion_leaving", "deletion", ["leaving"])
    op.add_column("series", sa.Column("changes", sa.Integer, nullable=False, server_default="0"))
    op.execute(sa.text('UPDATE series SET changes = "count"'))
