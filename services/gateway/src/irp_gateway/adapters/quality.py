"""/quality and /ratings: what was measured at import, and what readers say."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from irp.quality.v1 import quality_service_pb2 as pb
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Page, Paging, Provenance, page, plain, provenance_of, read_json
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.visitor import AnyMember, UidInPath

router = APIRouter(prefix="/api/v1/projects/{project}/series/{uid}", tags=["quality"], route_class=Door)


class SliceQuality(BaseModel):
    """Parameters of one slice."""

    slice: int
    parameters: dict[str, float | None]


class QualityReport(BaseModel):
    """Quality of a series, computed at import."""

    series_uid: str
    verdict: str = Field(description='"good", "review" or "unusable"')
    parameters: dict[str, float | None] = Field(
        examples=[{"snr": 21.3, "cnr": 7.9}], description="null = not measurable"
    )
    slices: list[SliceQuality]
    provenance: Provenance
    digest: str = Field(description="SHA-256 of the stored report")


class RatingBody(BaseModel):
    """A reader's judgement of a series."""

    model_config = ConfigDict(extra="forbid")

    stars: int = Field(ge=1, le=5)
    form: dict[str, Any] = Field({}, description="answers to the project's quality form", examples=[{"motion": 2}])


class RatingMade(BaseModel):
    """A rating was stored."""

    series_uid: str
    version: int


class Rating(BaseModel):
    """One reader's rating."""

    rater: str
    stars: int
    form: dict[str, Any]
    at: str
    version: int


@router.get("/quality", summary="Quality parameters, computed at import")
async def quality(uid: UidInPath, here: AnyMember) -> QualityReport:
    """Per series and per slice; definitions and sources stand in the quality room's README."""
    report = await here.ask("quality", "GetReport", pb.GetReportRequest(project=here.ref, series_uid=uid))
    return QualityReport(
        series_uid=report.series_uid,
        verdict=report.verdict,
        parameters=plain(report.parameters),
        slices=[SliceQuality(slice=s.slice, parameters=plain(s.parameters)) for s in report.slices],
        provenance=provenance_of(report.provenance),
        digest=report.report.sha256,
    )


@router.post("/ratings", status_code=201, summary="Rate a series: stars and form")
async def rate(request: Request, uid: UidInPath, body: RatingBody, here: AnyMember, response: Response) -> RatingMade:
    """One rating per reader; rating again makes a new version of it."""
    asked = pb.RateRequest(
        project=here.ref, series_uid=uid, rater=here.subject, stars=body.stars, form=json.dumps(body.form)
    )
    answer = await here.ask("quality", "Rate", asked)
    made(request, version=answer.version)
    response.headers["Location"] = here.address("series", uid, "ratings")
    return RatingMade(series_uid=uid, version=answer.version)


@router.get("/ratings", summary="Every reader's rating")
async def ratings(uid: UidInPath, here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[Rating]:
    """By reader."""
    answer = await here.ask("quality", "ListRatings", pb.ListRatingsRequest(project=here.ref, series_uid=uid))
    items = [
        Rating(rater=r.rater, stars=r.stars, form=read_json(r.form), at=r.at, version=r.version) for r in answer.ratings
    ]
    return page(items, paging.cursor, paging.limit)
