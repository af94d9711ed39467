"""The first tables of the gateway."""

import sqlalchemy as sa
from alembic import op
from irp_gateway.adapters.db import APPEND_ONLY
from irp_chassis.migrate import create_chassis_tables

revision, down_revision, branch_labels, depends_on = "0001", None, None, None


def upgrade() -> None:
    create_chassis_tables(op)
    op.create_table(
        "project",
        sa.Column("id", sa.String(48), primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("configuration", sa.Text, nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
    )
    op.create_table(
        "member",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("subject", sa.String(128), primary_key=True),
        sa.Column("roles", sa.String(256), nullable=False),
    )
    op.create_table(
        "token",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("site", sa.String(128), nullable=False),
        sa.Column("created_at", sa.String(40), nullable=False),
        sa.Column("expires_at", sa.String(40), nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.dialects.sqlite.INTEGER(), "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False),
        sa.Column("project", sa.String(48), nullable=False),
        sa.Column("action", sa.String(128), nullable=False),
        sa.Column("target", sa.String(512), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
    )
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
