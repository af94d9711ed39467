"""Pictures of runs, corrections of proposals and their drift, validations of models."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0008", "0007", None, None


def _key(name: str, length: int = 64) -> sa.Column:
    return sa.Column(name, sa.String(length), primary_key=True)


def upgrade() -> None:
    """Create them."""
    document, version = sa.Column("document", sa.JSON, nullable=False), sa.BigInteger
    epoch = sa.Column("epoch", sa.Integer, primary_key=True)
    op.create_table("run_overlay", _key("project"), _key("run"), epoch, _key("which", 16), document.copy())
    op.create_table(
        "proposal",
        *(_key(name) for name in ("project", "series", "name")),
        sa.Column("version", version, nullable=False),
        document.copy(),
    )
    op.create_table(
        "correction",
        *(_key(name) for name in ("project", "series", "name")),
        sa.Column("model_version", version, primary_key=True),
        sa.Column("at", sa.String(32), nullable=False),
        document.copy(),
    )
    op.create_index("ix_correction_model", "correction", ["name", "model_version", "at"])
    op.create_table(
        "drift",
        _key("name"),
        sa.Column("model_version", version, primary_key=True),
        _key("by", 16),
        _key("value", 128),
        document.copy(),
    )
    op.create_table(
        "validation", _key("name"), sa.Column("model_version", version, primary_key=True), _key("id"), document.copy()
    )
