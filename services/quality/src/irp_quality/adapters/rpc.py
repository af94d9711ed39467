"""The gRPC door of quality."""

from __future__ import annotations

import json
from typing import Any

from irp.common.v1.types_pb2 import Provenance
from irp.quality.v1 import quality_service_pb2 as pb
from irp.quality.v1 import quality_service_pb2_grpc as pb_grpc
from irp_chassis.auth import caller
from irp_chassis.wire import ProjectRef, object_ref_to_proto, project_ref_from_proto
from irp_kernel import Uid
from irp_kernel.errors import PermissionDenied

from irp_quality.app.ports import Assessment, Assessments, Ratings
from irp_quality.app.rate_series import RateCommand, RateSeries
from irp_quality.domain.errors import RatingInvalid, SeriesNotAssessed
from irp_quality.domain.rating import Rating


class QualityServicer(pb_grpc.QualityServiceServicer):
    """Serves QualityService."""

    def __init__(self, assessments: Assessments, ratings: Ratings, rate: RateSeries) -> None:
        self._assessments, self._ratings, self._rate = assessments, ratings, rate

    async def GetReport(self, request: pb.GetReportRequest, context: Any) -> pb.GetReportResponse:  # noqa: N802
        """The present report of a series."""
        project = _project(request)
        found = await self._assessments.find(project.id, Uid(request.series_uid))
        if found is None:
            raise SeriesNotAssessed(series=request.series_uid)
        return report_to_proto(found)

    async def Rate(self, request: pb.RateRequest, context: Any) -> pb.RateResponse:  # noqa: N802
        """Keep one reader's rating."""
        project = _project(request)
        caller().require_role("owner", "annotator")
        rater = request.rater or caller().subject
        if rater != caller().subject:
            raise PermissionDenied("ratings are given in one's own name")
        command = RateCommand(
            project=project.id,
            revision=project.revision,
            configuration=project.configuration,
            uid=Uid(request.series_uid),
            rater=rater,
            stars=request.stars,
            answers=_answers(request.form),
        )
        return pb.RateResponse(version=await self._rate(command))

    async def ListRatings(self, request: pb.ListRatingsRequest, context: Any) -> pb.ListRatingsResponse:  # noqa: N802
        """Ratings of a series, oldest first."""
        project = _project(request)
        ratings = await self._ratings.of(project.id, Uid(request.series_uid))
        return pb.ListRatingsResponse(ratings=[rating_to_proto(rating) for rating in ratings])


def report_to_proto(assessment: Assessment) -> pb.GetReportResponse:
    """Assessment -> message; unknown parameters are left out of the maps, their reasons are in the provenance."""
    report, series = assessment.report, assessment.series
    facts = {"verdict_reasons": "; ".join(report.reasons), "volume_version": str(series.version)}
    facts |= {f"unknown.{name}": reason for name, reason in report.unknown.items()}
    return pb.GetReportResponse(
        series_uid=series.uid,
        verdict=report.verdict,
        parameters=report.parameters,
        slices=[pb.SliceQuality(slice=one.slice, parameters=one.parameters) for one in report.slices],
        provenance=Provenance(
            actor="quality",
            at=assessment.at,
            software=assessment.software,
            inputs={"volume": series.volume.sha256},
            parameters=facts,
        ),
        report=object_ref_to_proto(assessment.document) if assessment.document else None,
    )


def rating_to_proto(rating: Rating) -> pb.Rating:
    """Rating -> message."""
    return pb.Rating(
        rater=rating.rater,
        stars=rating.stars,
        form=json.dumps(dict(rating.form), sort_keys=True),
        at=rating.at,
        version=rating.version,
    )


def _answers(text: str) -> dict[str, Any]:
    try:
        answers = json.loads(text or "{}")
    except ValueError:
        raise RatingInvalid("the form's answers are not JSON", field="form") from None
    if not isinstance(answers, dict):
        raise RatingInvalid("the form's answers are an object", field="form")
    return answers


def _project(request: Any) -> ProjectRef:
    project = project_ref_from_proto(request.project)
    caller().require_project(project.id)
    return project
