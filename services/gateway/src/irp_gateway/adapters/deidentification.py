"""/deidentification: the key that an uploader de-identifies with, and the signed reports of what was done."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.bounded_body import read_body
from irp_chassis.wire import object_ref_from_proto
from irp_kernel.errors import UnsupportedMediaType
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import Page, Paging, page_of, to_dict
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.visitor import AnyMember, Uploader
from irp_gateway.domain.configuration import Configuration, Deidentification, Sequence
from irp_gateway.domain.cursor import from_cursor
from irp_gateway.domain.errors import BodyNotReadable

router = APIRouter(prefix="/api/v1/projects/{project}/deidentification", tags=["deidentification"], route_class=Door)

JOSE = "application/jose"
MAX_REPORT_BYTES = 4 << 20
REPORT_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {JOSE: {"schema": {"type": "string", "description": "compact JWS"}}}}
}
ReportId = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="id of a report")]
Site = Annotated[str, Header(description="whose patients these are; only for owners, else the token says it")]


class KeyAnswer(BaseModel):
    """All that one needs to de-identify for a project as its ingest would. The key is secret."""

    key: str = Field(description="K_site, 32 bytes in base64: makes pseudonyms, UIDs and date offsets of this site")
    site: str = Field(description="what the site is called in the project's data")
    project: str
    revision: int
    configuration: str = Field(description="SHA-256 of the configuration document that a report must name")
    deidentification: Deidentification
    sequences: list[Sequence] = Field(description="rules to be matched on the original header")


class PublicKey(BaseModel):
    """A JSON Web Key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class ReportLine(BaseModel):
    """A report of an upload, without single instances."""

    id: str
    by: Literal["ingest", "uploader"] = Field(description="who made and signed it")
    at: str
    site: str = Field(description="the site's name in the project's data")
    subject: str = Field(description="who sent it")
    instances: int
    refused: int
    complete: bool = Field(description="false: the upload was cut, this is what was stored of it")
    revision: int = Field(description="of the configuration")


class ReportDocument(BaseModel):
    """A report, readable and signed."""

    report: dict[str, Any] = Field(description="the payload of `jws`, for people; see the reference of its schema")
    jws: str = Field(description="compact JWS (RFC 7515), EdDSA: this is what the signature holds for")


class ReportTaken(BaseModel):
    """An uploader's report was checked and kept."""

    id: str = Field(description="say it as X-IRP-Report when the files are sent")


@router.post("/key", summary="The key with which an uploader de-identifies")
async def issue_key(request: Request, response: Response, here: Uploader, x_irp_site: Site = "") -> KeyAnswer:
    """For uploaders, of the token's own site. It does not expire; every issue stands in the audit log."""
    asked = pb.IssueSiteKeyRequest(project=here.ref, site=here.site(x_irp_site))
    answer = await here.ask("ingest", "IssueSiteKey", asked)
    document = Configuration.model_validate_json(await here.desk.objects.get(here.project.configuration))
    made(request, site=answer.site_name)
    response.headers["Cache-Control"] = "no-store"
    return KeyAnswer(
        key=base64.b64encode(answer.key).decode("ascii"),
        site=answer.site_name,
        project=here.project.id,
        revision=here.project.revision,
        configuration=here.project.configuration.sha256,
        deidentification=document.deidentification,
        sequences=document.sequences,
    )


@router.get("/public-key", summary="The key that checks reports made here")
async def public_key(here: AnyMember) -> PublicKey:
    """Keep it beside exported data: with it `irp report verify` needs no network."""
    answer = await here.ask("ingest", "GetReportKey", pb.GetReportKeyRequest(project=here.ref))
    return PublicKey.model_validate_json(answer.jwk)


@router.post("/reports", status_code=201, summary="An uploader's signed report", openapi_extra=REPORT_BODY)
async def take_report(request: Request, response: Response, here: Uploader, x_irp_site: Site = "") -> ReportTaken:
    """Before the files that it lists: name it by X-IRP-Report, and they are checked and stored as they are."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != JOSE:
        raise UnsupportedMediaType(f"send a compact JWS as {JOSE}")
    try:
        jws = (await read_body(request, MAX_REPORT_BYTES)).decode("ascii")
    except UnicodeDecodeError:
        raise BodyNotReadable("a compact JWS is ASCII") from None
    asked = pb.StoreReportRequest(project=here.ref, site=here.site(x_irp_site), jws=jws)
    taken = await here.ask("ingest", "StoreReport", asked)
    made(request, report=taken.id)
    response.headers["Location"] = here.address("deidentification", "reports", taken.id)
    return ReportTaken(id=taken.id)


@router.get("/reports", summary="Reports of what was done to each upload")
async def list_reports(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[ReportLine]:
    """Oldest first: those that ingest made, and those that uploaders sent."""
    asked = pb.ListReportsRequest(project=here.ref, after=from_cursor(paging.cursor), limit=paging.limit)
    answer = await here.ask("ingest", "ListReports", asked)
    items = [ReportLine.model_validate(to_dict(line)) for line in answer.reports]
    return page_of(items, answer.next)


@router.get("/reports/{id}", summary="One report with its signature")
async def get_report(id: ReportId, here: AnyMember, response: Response) -> ReportDocument:
    """Which instance was treated how, under which profile; no value of an original."""
    answer = await here.ask("ingest", "GetReport", pb.GetReportRequest(project=here.ref, id=id))
    ref = object_ref_from_proto(answer.report.object)
    jws = (await here.desk.objects.get(ref)).decode("ascii")
    response.headers["ETag"] = f'"{ref.sha256}"'
    return ReportDocument(report=await asyncio.to_thread(_payload, jws), jws=jws)


def _payload(jws: str) -> dict[str, Any]:
    payload = jws.split(".")[1]
    document: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return document
