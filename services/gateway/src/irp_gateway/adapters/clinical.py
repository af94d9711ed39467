"""/clinical: values of patients in, joined by pseudonym."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.bounded_body import read_body
from irp_kernel.errors import UnsupportedMediaType
from pydantic import BaseModel, Field

from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.streaming import Site
from irp_gateway.adapters.visitor import Inside, Uploader

router = APIRouter(prefix="/api/v1/projects/{project}/clinical", tags=["clinical"], route_class=Door)

MAX_CLINICAL_BYTES = 64 << 20
FHIR, CSV = "application/fhir+json", "text/csv"
TAKEN = {FHIR: {FHIR, "application/json"}, CSV: {CSV, "text/plain"}}


def _body(media_type: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {media_type: {"schema": {"type": "string"}}}}}


class Recorded(BaseModel):
    """What was taken."""

    patients: int
    values: int
    refused: list[str] = Field(description="position and reason of what was not taken; never its content")


@router.post("/fhir", summary="Clinical values as a FHIR R4 Bundle", openapi_extra=_body(FHIR))
async def fhir(request: Request, here: Uploader, x_irp_site: Site = "") -> Recorded:
    """Patients are joined by pseudonym; only endpoints of the configuration are taken."""
    return await _record(request, here, FHIR, x_irp_site)


@router.post("/table", summary="Clinical values as a CSV table", openapi_extra=_body(CSV))
async def table(request: Request, here: Uploader, x_irp_site: Site = "") -> Recorded:
    """First column: the patient's identifier as in DICOM; other columns: endpoints of the configuration."""
    return await _record(request, here, CSV, x_irp_site)


async def _record(request: Request, here: Inside, media_type: str, site: str) -> Recorded:
    said = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if said not in TAKEN[media_type]:
        raise UnsupportedMediaType(f"send {media_type}")
    body = await read_body(request, min(MAX_CLINICAL_BYTES, here.desk.limits.body))
    asked = pb.RecordClinicalRequest(project=here.ref, site=here.site(site), media_type=media_type, body=body)
    answer = await here.ask("ingest", "RecordClinical", asked)
    made(request, patients=answer.patients, values=answer.values)
    return Recorded(patients=answer.patients, values=answer.values, refused=list(answer.refused))
