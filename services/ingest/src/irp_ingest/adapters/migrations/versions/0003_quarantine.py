"""Instances that may name somebody wait for a person's decision."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0003", "0002", None, None


def upgrade() -> None:
    op.create_table(
        "quarantine",
        sa.Column("project", sa.String(48), primary_key=True),
        *(sa.Column(name, sa.String(64), primary_key=name == "id", nullable=False) for name in UIDS),
        *(sa.Column(name, sa.String(length), nullable=False) for name, length in TEXTS.items()),
        *(sa.Column(name, sa.Integer, nullable=False) for name in NUMBERS),
        sa.Column("candidates", sa.JSON, nullable=False),
        sa.Column("regions", sa.JSON, nullable=False),
        sa.Column("object", sa.JSON(none_as_null=True), nullable=True),
    )
    op.create_index("ix_quarantine_state", "quarantine", ["project", "state", "arrived_at", "id"])
    op.create_index("ix_quarantine_arrived", "quarantine", ["project", "arrived_at", "id"])


UIDS = ("id", "study_uid", "series_uid", "sop_class", "fingerprint", "reason")
TEXTS = {
    "patient": 32,
    "site": 32,
    "modality": 16,
    "kind": 16,
    "arrived_at": 40,
    "state": 16,
    "decided_by": 128,
    "decided_at": 40,
}
NUMBERS = ("rows", "columns", "frames", "times")
