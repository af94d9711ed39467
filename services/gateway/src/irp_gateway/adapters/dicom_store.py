"""STOW-RS: DICOM files stream through to ingest."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_kernel.errors import TooLarge, UnsupportedMediaType

from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.streaming import Site, chunks, send_through
from irp_gateway.adapters.visitor import Inside, UidInPath, Uploader
from irp_gateway.domain.errors import MultipartBroken
from irp_gateway.domain.multipart import PartBegins, PartData, PartEnds, Splitter, boundary_of, parameters_of
from irp_gateway.domain.negotiation import choose
from irp_gateway.domain.stow_answer import fates_of, stow_answer

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

DICOM, DICOM_JSON, MULTIPART = "application/dicom", "application/dicom+json", "multipart/related"
MAX_FATES = 4096  # characters; longer ones are left out
ANSWERS = (DICOM_JSON, "application/json")
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            'multipart/related; type="application/dicom"': {"schema": {"type": "string", "format": "binary"}},
            DICOM: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
HEADERS: dict[str, Any] = {
    "X-IRP-Report": {"description": "id of the signed report of this upload", "schema": {"type": "string"}},
    "Link": {"description": "its address, as `describedby`", "schema": {"type": "string"}},
    "X-IRP-Outcomes": {
        "description": "what became of the files in the order sent, as runs: s stored, a already stored, r refused",
        "schema": {"type": "string", "examples": ["30s 1r 1a"]},
    },
}
STORED: dict[int | str, dict[str, Any]] = {
    200: {"description": "Every instance was stored", "content": {DICOM_JSON: {}}, "headers": HEADERS},
    202: {
        "description": "Some were refused: FailedSOPSequence says which and why",
        "content": {DICOM_JSON: {}},
        "headers": HEADERS,
    },
    409: {
        "description": "None was stored: FailedSOPSequence says why",
        "content": {DICOM_JSON: {}},
        "headers": HEADERS,
    },
}
More = Annotated[bool, Header(description="true: more uploads follow; series stay open until /complete, or for 30 s")]
Report = Annotated[
    str, Header(pattern="^([0-9a-f]{32})?$", description="id of the uploader's report: the files come de-identified")
]
Accept = Annotated[str, Header()]


@router.post(
    "/studies", summary="STOW-RS: store instances", openapi_extra=BODY, responses=STORED, response_class=Response
)
async def store(
    request: Request,
    here: Uploader,
    x_irp_site: Site = "",
    x_irp_more: More = False,
    x_irp_report: Report = "",
    accept: Accept = "*/*",
) -> Response:
    """De-identified before anything is stored; the same instance again is a success. PS3.18 section 10.5."""
    upload = pb.Upload(project=here.ref, site=here.site(x_irp_site), more=x_irp_more, report=x_irp_report)
    return await _store(request, here, upload, accept)


@router.post(
    "/studies/{study}",
    summary="STOW-RS: store instances of one study",
    openapi_extra=BODY,
    responses=STORED,
    response_class=Response,
)
async def store_study(
    study: UidInPath,
    request: Request,
    here: Uploader,
    x_irp_site: Site = "",
    x_irp_more: More = False,
    x_irp_report: Report = "",
    accept: Accept = "*/*",
) -> Response:
    """`study` is the original StudyInstanceUID; instances of another study are refused one by one."""
    site = here.site(x_irp_site)
    upload = pb.Upload(project=here.ref, site=site, study_uid=study, more=x_irp_more, report=x_irp_report)
    return await _store(request, here, upload, accept)


async def _store(request: Request, here: Inside, upload: pb.Upload, accept: str) -> Response:
    media_type = choose(accept, ANSWERS)
    pieces = _pieces(request, here.desk.limits.instance)
    answer = await send_through(request, here, "StoreInstances", pb.StoreInstancesRequest(upload=upload), pieces)
    outcomes = [{field.name: getattr(o, field.name) for field in o.DESCRIPTOR.fields} for o in answer.outcomes]
    status, body = stow_answer(outcomes, here.address("dicom-web"))
    made(request, **_counts(outcomes), report=answer.report)
    # The exact media type: with a charset, clients answer an empty dataset.
    headers = {"Content-Type": media_type} | _told(outcomes, answer.report, here)
    return Response(json.dumps(body), status, headers)


def _told(outcomes: list[dict[str, Any]], report: str, here: Inside) -> dict[str, str]:
    """What PS3.18's answer has no place for: the signed report, and which of the files became what."""
    told = {}
    if report:
        told = {
            "X-IRP-Report": report,
            "Link": f'<{here.address("deidentification", "reports", report)}>; rel="describedby"',
        }
    fates = fates_of(outcomes)
    return told | ({"X-IRP-Outcomes": fates} if len(fates) <= MAX_FATES else {})


def _counts(outcomes: list[dict[str, Any]]) -> dict[str, object]:
    stored = [outcome for outcome in outcomes if outcome["failure_reason"] == 0]
    studies = ",".join(sorted({outcome["study_uid"] for outcome in stored}))
    return {"studies": studies, "stored": len(stored), "refused": len(outcomes) - len(stored)}


def _pieces(request: Request, limit: int) -> AsyncIterator[pb.StoreInstancesRequest]:
    """The body as ingest takes it.

    Raises:
        UnsupportedMediaType: neither multipart/related of application/dicom nor one DICOM file.
    """
    content_type = request.headers.get("content-type", "")
    media_type = content_type.split(";")[0].strip().lower()
    if media_type == DICOM:
        return _single(request, limit)
    part = parameters_of(content_type).get("type", DICOM)
    if media_type != MULTIPART or part.lower() != DICOM:
        raise UnsupportedMediaType('send multipart/related; type="application/dicom", or one file as application/dicom')
    return _several(request, Splitter(boundary_of(content_type)), limit)


async def _several(request: Request, splitter: Splitter, limit: int) -> AsyncIterator[pb.StoreInstancesRequest]:
    parts = size = 0
    async for chunk in chunks(request):
        for event in splitter.feed(chunk):
            match event:
                case PartBegins():
                    parts, size = parts + 1, 0
                    yield pb.StoreInstancesRequest(begin=True)
                case PartData(data):
                    size = _within(limit, size + len(data))
                    yield pb.StoreInstancesRequest(data=data)
                case PartEnds():
                    yield pb.StoreInstancesRequest(end=True)
    splitter.finish()
    if not parts:
        raise MultipartBroken("the body has no part")


async def _single(request: Request, limit: int) -> AsyncIterator[pb.StoreInstancesRequest]:
    yield pb.StoreInstancesRequest(begin=True)
    size = 0
    async for chunk in chunks(request):
        size = _within(limit, size + len(chunk))
        yield pb.StoreInstancesRequest(data=chunk)
    yield pb.StoreInstancesRequest(end=True)


def _within(limit: int, size: int) -> int:
    if size > limit:
        raise TooLarge(f"an instance has at most {limit} bytes (IRP_MAX_INSTANCE_BYTES)", limit_bytes=limit)
    return size
