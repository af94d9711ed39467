"""/radiomics: features, heat-map, function."""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from irp.radiomics.v1 import radiomics_service_pb2 as pb
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import Page, Paging, Progress, page, plain, progress_of
from irp_gateway.adapters.door import AUDITED, WHILE_THERE, Door, made
from irp_gateway.adapters.visitor import Annotator, AnyMember, IdInPath

router = APIRouter(prefix="/api/v1/projects/{project}/radiomics", tags=["radiomics"], route_class=Door)

TABLES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "parquet": "application/vnd.apache.parquet"}
PICTURES = {"png": "image/png", "svg": "image/svg+xml", "json": "application/json"}
ANSWER_TIMEOUT_S = 120.0


def _file(kinds: dict[str, str], description: str) -> dict[str, Any]:
    content: dict[str, Any] = {kind.split(";")[0]: {} for kind in kinds.values()}
    return {
        "responses": {200: {"description": description, "content": content}},
        "response_class": Response,
        "openapi_extra": AUDITED | WHILE_THERE,
    }


class ExtractionAnswer(BaseModel):
    """An extraction of features."""

    id: str
    state: str = Field(description='"queued", "running", "succeeded" or "failed"')
    progress: Progress
    series: int
    rois: int
    reason: str = Field(description="why it failed; empty otherwise")


class FunctionAnswer(BaseModel):
    """Function of the left ventricle from one series; what is not known is null, and `note` says why."""

    series_uid: str
    patient: str
    edv_ml: float | None
    esv_ml: float | None
    lvef_percent: float | None
    myocardial_mass_g: float | None
    ed_frame: int
    es_frame: int
    source: str = Field(description='"expert" or "proposed"')
    note: str


@router.post("/extractions", status_code=202, summary="Extract features of every accepted mask")
async def extract(here: Annotator, request: Request, response: Response) -> ExtractionAnswer:
    """202 after the job is committed; what was extracted before is not computed again."""
    asked = pb.StartExtractionRequest(project=here.ref, actor=here.subject, request_id=uuid.uuid4().hex)
    extraction = _extraction((await here.ask("radiomics", "StartExtraction", asked)).extraction)
    made(request, extraction=extraction.id)
    response.headers["Location"] = here.address("radiomics", "extractions", extraction.id)
    return extraction


@router.get("/extractions/{id}", summary="Progress of an extraction")
async def get_extraction(id: IdInPath, here: AnyMember) -> ExtractionAnswer:
    """State, fraction, ETA."""
    asked = pb.GetExtractionRequest(project=here.ref, extraction_id=id)
    return _extraction((await here.ask("radiomics", "GetExtraction", asked)).extraction)


@router.get("/features.{form}", summary="The tidy table", **_file(TABLES, "One row per region and feature"))
async def features(form: Literal["csv", "json", "parquet"], here: AnyMember) -> Response:
    """With versions and hashes of what each value was computed from."""
    asked = pb.GetFeaturesRequest(project=here.ref, media_type=TABLES[form].split(";")[0])
    answer = await here.ask("radiomics", "GetFeatures", asked, timeout_s=ANSWER_TIMEOUT_S)
    disposition = f'attachment; filename="{here.project.id}-features.{form}"'
    return Response(answer.body, headers={"Content-Type": TABLES[form], "Content-Disposition": disposition})


@router.get("/heatmap.{form}", summary="The clustered heat-map", **_file(PICTURES, "Regions or patients by features"))
async def heatmap(
    form: Literal["png", "svg", "json"],
    here: AnyMember,
    features: Annotated[int, Query(ge=0, le=10_000, description="at most so many; 0 = the room's default")] = 0,
) -> Response:
    """With clinical columns."""
    asked = pb.GetHeatmapRequest(project=here.ref, media_type=PICTURES[form], features=features)
    answer = await here.ask("radiomics", "GetHeatmap", asked, timeout_s=ANSWER_TIMEOUT_S)
    return Response(answer.body, headers={"Content-Type": PICTURES[form]})


@router.get("/function", summary="Volumes and ejection fraction per series", openapi_extra=AUDITED)
async def function(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[FunctionAnswer]:
    """Of every series with a mask."""
    answer = await here.ask("radiomics", "GetFunction", pb.GetFunctionRequest(project=here.ref))
    return page([_function(found) for found in answer.functions], paging.cursor, paging.limit)


def _extraction(extraction: pb.Extraction) -> ExtractionAnswer:
    return ExtractionAnswer(
        id=extraction.id,
        state=extraction.state,
        progress=progress_of(extraction.progress),
        series=extraction.series,
        rois=extraction.rois,
        reason=extraction.reason,
    )


def _function(found: pb.CardiacFunction) -> FunctionAnswer:
    numbers = ("edv_ml", "esv_ml", "lvef_percent", "myocardial_mass_g")
    return FunctionAnswer(
        series_uid=found.series_uid,
        patient=found.patient,
        **plain({name: getattr(found, name) for name in numbers}),
        ed_frame=found.ed_frame,
        es_frame=found.es_frame,
        source=found.source,
        note=found.note,
    )
