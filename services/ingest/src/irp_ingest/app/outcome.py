"""What became of a file of an upload."""

from __future__ import annotations

from dataclasses import dataclass

from irp_deid.uploads import Treated

from irp_ingest.domain.intake import Intake


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a file: stored (failure 0), with what was done to it; or refused with a PS3.18 failure reason."""

    study_uid: str = ""
    series_uid: str = ""
    sop_uid: str = ""
    sop_class: str = ""
    failure: int = 0
    reason: str = ""
    repeated: bool = False
    treated: Treated | None = None

    @classmethod
    def of(cls, intake: Intake) -> Outcome:
        """With the identifiers that an instance has now."""
        return cls(
            study_uid=intake.study_uid,
            series_uid=intake.series_uid,
            sop_uid=intake.sop_uid,
            sop_class=intake.sop_class,
        )


def treated(intake: Intake, *, again: bool) -> Treated:
    """An instance as the upload's report says it."""
    return Treated(
        study_uid=intake.study_uid,
        series_uid=intake.series_uid,
        sop_uid=intake.sop_uid,
        sop_class=intake.sop_class,
        sha256=intake.sha256,
        original=intake.fingerprint,
        sequences=intake.sequences,
        report=intake.report,
        again=again,
    )
