"""Runs, datasets and runs of containers are listed page by page, in the order in which they were made."""

from alembic import op

revision, down_revision, branch_labels, depends_on = "0011", "0010", None, None


def upgrade() -> None:
    op.create_index("ix_run_created", "run", ["project", "created_at", "id"])
    op.create_index("ix_dataset_created", "dataset", ["project", "created_at", "digest"])
    op.create_index("ix_container_run_created", "container_run", ["project", "created_at", "id"])
