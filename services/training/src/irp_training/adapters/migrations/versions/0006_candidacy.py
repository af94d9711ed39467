"""Every time that a version stood before the gate, and why champions changed; verdicts known so far are taken along."""

import json

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0006", "0005", None, None


def upgrade() -> None:
    """Create the table, fill it, and drop the one that it replaces."""
    op.add_column("promotion", sa.Column("reason", sa.String(400), nullable=False, server_default=""))
    candidacy = op.create_table(
        "candidacy",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    if rows := _known(op.get_bind()):
        op.bulk_insert(candidacy, rows)
    op.drop_table("gate_verdict")


def _known(connection: sa.Connection) -> list[dict[str, object]]:
    """Verdicts so far; who asked for them, and when, was not kept: the model's maker and time stand for it."""
    models = connection.execute(sa.text("SELECT name, version, digest, document FROM model_version")).mappings().all()
    verdicts = connection.execute(sa.text("SELECT candidate, champion, document FROM gate_verdict")).mappings().all()
    found: list[dict[str, object]] = []
    for model in sorted(models, key=lambda row: (row["name"], row["version"])):
        about = _document(model["document"])
        for verdict in (row for row in verdicts if row["candidate"] == model["digest"]):
            said = _document(verdict["document"])
            rivals = [r for r in models if (r["name"], r["digest"]) == (model["name"], verdict["champion"])]
            document = {
                "model": about["ref"],
                "number": 1 + sum(row["name"] == model["name"] for row in found),
                "champion": _document(rivals[0]["document"])["ref"] if rivals else None,
                "dataset": said["dataset"],
                "gate": json.dumps(said, sort_keys=True),
                "reason": said["reason"],
                "state": "judged",
                "asked_by": about["actor"],
                "asked_at": about["created_at"],
            }
            row = {"name": model["name"], "number": document["number"], "version": model["version"]}
            found.append({**row, "document": document})
    return found


def _document(value: object) -> dict:
    return json.loads(value) if isinstance(value, str) else dict(value)
