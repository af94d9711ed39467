"""Series know their description; indexes give what a search finds in the order of its answer: nothing is sorted."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0005", "0004", None, None

DESCRIPTION = "0008103E"


def upgrade() -> None:
    op.add_column("series", sa.Column("description", sa.String, nullable=False, server_default=""))
    series = sa.table("series", sa.column("description"), sa.column("header", sa.JSON))
    said = series.c.header[DESCRIPTION]["Value"][0].as_string()
    op.execute(series.update().values(description=sa.func.substr(sa.func.coalesce(said, ""), 1, 256)))
    op.create_index("ix_series_description", "series", ["project", "description", "study_uid", "uid"])
    op.drop_index("ix_series_modality", "series")
    op.create_index("ix_series_modality", "series", ["project", "modality", "study_uid", "uid"])
    op.drop_index("ix_study_patient", "study")
    op.create_index("ix_study_patient", "study", ["project", "patient_id", "uid"])
    op.create_index("ix_study_accession", "study", ["project", "accession_number", "uid"])
