"""Studies have rows of their own, and series know their modality and first header: a search need not read instances."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from irp_ingest.adapters.criteria import MODALITY, first_text, study_columns

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None

NAMES = ("patient_id", "patient_name", "study_date", "study_time", "accession_number", "study_id", "study_description")


def upgrade() -> None:
    op.create_table(
        "study",
        sa.Column("project", sa.String(48), primary_key=True),
        sa.Column("uid", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.String, nullable=False) for name in NAMES),
        sa.Column("header", sa.JSON, nullable=False),
    )
    op.create_index("ix_study_patient", "study", ["project", "patient_id"])
    op.create_index("ix_study_date", "study", ["project", "study_date"])
    op.add_column("series", sa.Column("modality", sa.String, nullable=False, server_default=""))
    op.add_column("series", sa.Column("header", sa.JSON, nullable=False, server_default="{}"))
    op.create_index("ix_series_study", "series", ["project", "study_uid", "uid"])
    op.create_index("ix_series_modality", "series", ["project", "modality", "study_uid"])
    op.drop_index("ix_instance_series", "instance")
    op.create_index("ix_instance_study", "instance", ["project", "study_uid", "series_uid", "sop_uid"])
    op.create_index("ix_instance_series", "instance", ["project", "series_uid", "sop_uid"])
    _fill()


def _fill() -> None:
    """From the first instance of each series that is there."""
    columns = [sa.column(name) for name in ("project", "uid", "study_uid", "modality")] + [sa.column("header", sa.JSON)]
    series = sa.table("series", *columns)
    names = ("project", "uid", *NAMES)
    study = sa.table("study", *(sa.column(name) for name in names), sa.column("header", sa.JSON))
    known: set[tuple[str, str]] = set()
    for row in _first_instances():
        here = (series.c.project == row.project) & (series.c.uid == row.series_uid)
        modality = first_text(row.header, MODALITY)
        op.get_bind().execute(series.update().where(here).values(modality=modality, header=row.header))
        if (row.project, row.study_uid) not in known:
            known.add((row.project, row.study_uid))
            values = {"project": row.project, "uid": row.study_uid, "header": row.header, **study_columns(row.header)}
            op.get_bind().execute(study.insert().values(**values))


def _first_instances() -> Iterator[Any]:
    names = ("project", "study_uid", "series_uid", "sop_uid")
    instance = sa.table("instance", *(sa.column(name) for name in names), sa.column("header", sa.JSON))
    parts = (instance.c.project, instance.c.series_uid)
    first = sa.select(*parts, sa.func.min(instance.c.sop_uid).label("sop_uid")).group_by(*parts)
    for row in op.get_bind().execute(first).all():
        same = (instance.c.project == row.project) & (instance.c.sop_uid == row.sop_uid)
        yield op.get_bind().execute(sa.select(instance).where(same)).one()
