"""Indexes that give what a search finds in the order of its answer, so that no database sorts or walks through all."""

from alembic import op

revision, down_revision, branch_labels, depends_on = "0006", "0004", None, None


def upgrade() -> None:
    op.drop_index("ix_study_patient", "study")
    op.create_index("ix_study_patient", "study", ["project", "patient_id", "uid"])
    op.create_index("ix_study_accession", "study", ["project", "accession_number", "uid"])
    op.drop_index("ix_series_modality", "series")
    op.create_index("ix_series_modality", "series", ["project", "modality", "study_uid", "uid"])
