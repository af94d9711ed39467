"""/radiomics and /clinical: features, heat-map, function; endpoints in."""

from __future__ import annotations

import uuid
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.radiomics.v1 import radiomics_service_pb2 as pb

from irp_gateway.adapters.series import plain, to_dict
from irp_gateway.adapters.visitor import Annotator, AnyMember, Inside, Uploader, read_body

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["radiomics"])

TABLES = {"csv": "text/csv", "json": "application/json", "parquet": "application/vnd.apache.parquet"}
PICTURES = {"png": "image/png", "svg": "image/svg+xml", "json": "application/json"}
MAX_CLINICAL_BYTES = 64 << 20


@router.post("/radiomics/extractions", status_code=202, summary="Extract features of every accepted mask")
async def extract(here: Annotator, response: Response) -> dict[str, Any]:
    """What was extracted before is not computed again."""
    asked = pb.StartExtractionRequest(project=here.ref, actor=here.identity.subject, request_id=uuid.uuid4().hex)
    extraction = to_dict((await here.ask("radiomics", "StartExtraction", asked)).extraction)
    base = f"{here.desk.public_url}/api/v1/projects/{here.project.id}/radiomics/extractions"
    response.headers["Location"] = f"{base}/{extraction['id']}"
    return extraction


@router.get("/radiomics/extractions/{id}", summary="Progress of an extraction")
async def get_extraction(id: str, here: AnyMember) -> dict[str, Any]:
    """State, fraction, ETA."""
    asked = pb.GetExtractionRequest(project=here.ref, extraction_id=id)
    return to_dict((await here.ask("radiomics", "GetExtraction", asked)).extraction)


@router.get("/radiomics/features.{form}", summary="The tidy table", response_class=Response)
async def features(form: Literal["csv", "json", "parquet"], here: AnyMember) -> Response:
    """One row per region and feature, with versions and hashes."""
    asked = pb.GetFeaturesRequest(project=here.ref, media_type=TABLES[form])
    answer = await here.ask("radiomics", "GetFeatures", asked, timeout_s=120)
    headers = {"Content-Disposition": f'attachment; filename="{here.project.id}-features.{form}"'}
    return Response(answer.body, media_type=TABLES[form], headers=headers)


@router.get("/radiomics/heatmap.{form}", summary="The clustered heat-map", response_class=Response)
async def heatmap(form: Literal["png", "svg", "json"], here: AnyMember, features: int = 0) -> Response:
    """Regions or patients by features, with clinical columns."""
    asked = pb.GetHeatmapRequest(project=here.ref, media_type=PICTURES[form], features=features)
    answer = await here.ask("radiomics", "GetHeatmap", asked, timeout_s=120)
    return Response(answer.body, media_type=PICTURES[form])


@router.get("/radiomics/function", summary="Volumes and ejection fraction per series")
async def function(here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """What is not known is null, with a note that says why."""
    answer = await here.ask("radiomics", "GetFunction", pb.GetFunctionRequest(project=here.ref))
    return {"items": [_function(f) for f in answer.functions]}


@router.post("/clinical/fhir", summary="Clinical values as a FHIR R4 Bundle")
async def fhir(request: Request, here: Uploader) -> dict[str, Any]:
    """Patients are joined by pseudonym; only endpoints of the configuration are taken."""
    return await _record(request, here, "application/fhir+json")


@router.post("/clinical/table", summary="Clinical values as a CSV table")
async def table(request: Request, here: Uploader) -> dict[str, Any]:
    """First column: the patient's identifier as in DICOM; other columns: endpoints of the configuration."""
    return await _record(request, here, "text/csv")


@router.get("/rejections", tags=["series"], summary="What was refused, and why")
async def rejections(here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """Reasons and counts; nothing of the refused data."""
    answer = await here.ask("ingest", "ListRejections", ingest_pb.ListRejectionsRequest(project=here.ref))
    return {"items": [to_dict(rejection) for rejection in answer.rejections]}


async def _record(request: Request, here: Inside, media_type: str) -> dict[str, Any]:
    asked = ingest_pb.RecordClinicalRequest(
        project=here.ref,
        site=request.headers.get("x-irp-site", "") or here.identity.subject,
        media_type=media_type,
        body=await read_body(request, MAX_CLINICAL_BYTES),
    )
    answer = await here.ask("ingest", "RecordClinical", asked)
    await here.note("clinical.record", f"{answer.patients} patients")
    return to_dict(answer)


def _function(function: pb.CardiacFunction) -> dict[str, Any]:
    numbers = ("edv_ml", "esv_ml", "lvef_percent", "myocardial_mass_g")
    found = {**to_dict(function), **plain({name: getattr(function, name) for name in numbers})}
    return found
