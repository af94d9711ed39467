"""/dicom-web: STOW-RS, QIDO-RS and WADO-RS, as PS3.18 says and dicomweb-client speaks."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.wire import object_ref_from_proto
from irp_kernel.errors import NotFound, TooLarge, Unimplemented

from irp_gateway.adapters.visitor import AnyMember, Inside, Uploader
from irp_gateway.domain.multipart import PartBegins, PartData, PartEnds, Splitter, boundary_of
from irp_gateway.domain.stow_answer import stow_answer

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"])

DICOM_JSON = "application/dicom+json"
STOW_TIMEOUT_S = 3600.0
PAGE = 200  # matches of a QIDO request that says no limit
MAX_PAGE = 5000


@router.post("/studies", summary="STOW-RS: store instances", response_class=Response)
async def stow(request: Request, here: Uploader) -> Response:
    """multipart/related of application/dicom. De-identified before anything is stored."""
    return await _stow(request, here, "")


@router.post("/studies/{study}", summary="STOW-RS: store instances of one study", response_class=Response)
async def stow_study(study: str, request: Request, here: Uploader) -> Response:
    """Instances of another study are refused one by one."""
    return await _stow(request, here, study)


async def _stow(request: Request, here: Inside, study: str) -> Response:
    splitter = Splitter(boundary_of(request.headers.get("content-type", "")))
    site = request.headers.get("x-irp-site", "") or here.identity.subject
    upload = pb.Upload(project=here.ref, site=site, study_uid=study)
    answer = await here.ask(
        "ingest", "StoreInstances", _pieces(request, splitter, upload, here.desk.max_instance_bytes),
        timeout_s=STOW_TIMEOUT_S,
    )  # fmt: skip
    base = f"{here.desk.public_url}/api/v1/projects/{here.project.id}/dicom-web"
    status, body = stow_answer([_outcome(o) for o in answer.outcomes], base)
    await here.note("dicom.store", f"{len(answer.outcomes)} instances", status)
    # The exact media type: with a charset, clients answer an empty dataset.
    return Response(json.dumps(body), status, media_type=DICOM_JSON)


async def _pieces(
    request: Request, splitter: Splitter, upload: pb.Upload, limit: int
) -> AsyncIterator[pb.StoreInstancesRequest]:
    yield pb.StoreInstancesRequest(upload=upload)
    size = 0
    async for chunk in request.stream():
        for event in splitter.feed(chunk):
            match event:
                case PartBegins():
                    size = 0
                    yield pb.StoreInstancesRequest(begin=True)
                case PartData(data):
                    size += len(data)
                    if size > limit:
                        raise TooLarge(f"an instance has at most {limit} bytes", limit_bytes=limit)
                    yield pb.StoreInstancesRequest(data=data)
                case PartEnds():
                    yield pb.StoreInstancesRequest(end=True)
    splitter.finish()


def _outcome(outcome: pb.InstanceOutcome) -> dict[str, Any]:
    return {field.name: getattr(outcome, field.name) for field in outcome.DESCRIPTOR.fields}


@router.get("/studies", summary="QIDO-RS: search for studies", response_class=Response)
async def search_studies(request: Request, here: AnyMember) -> Response:
    """PS3.18 section 8.3."""
    return await _search(request, here, "study")


@router.get("/series", summary="QIDO-RS: search for series", response_class=Response)
async def search_series(request: Request, here: AnyMember) -> Response:
    """In every study."""
    return await _search(request, here, "series")


@router.get("/instances", summary="QIDO-RS: search for instances", response_class=Response)
async def search_instances(request: Request, here: AnyMember) -> Response:
    """In every study."""
    return await _search(request, here, "instance")


@router.get("/studies/{study}/series", summary="QIDO-RS: search for series of a study", response_class=Response)
async def search_study_series(study: str, request: Request, here: AnyMember) -> Response:
    """PS3.18 section 8.3."""
    return await _search(request, here, "series", study)


@router.get("/studies/{study}/instances", summary="QIDO-RS: instances of a study", response_class=Response)
async def search_study_instances(study: str, request: Request, here: AnyMember) -> Response:
    """PS3.18 section 8.3."""
    return await _search(request, here, "instance", study)


@router.get(
    "/studies/{study}/series/{series}/instances", summary="QIDO-RS: instances of a series", response_class=Response
)
async def search_series_instances(study: str, series: str, request: Request, here: AnyMember) -> Response:
    """PS3.18 section 8.3."""
    return await _search(request, here, "instance", study, series)


async def _search(request: Request, here: Inside, level: str, study: str = "", series: str = "") -> Response:
    asked = pb.SearchRequest(project=here.ref, level=level, study_uid=study, series_uid=series, limit=PAGE)
    for key, value in request.query_params.multi_items():
        match key.lower():
            case "limit" | "offset":
                setattr(asked, key.lower(), min(int(value), MAX_PAGE) if value.isdecimal() else PAGE)
            case "fuzzymatching":
                asked.fuzzy = value.lower() == "true"
            case "includefield":
                asked.include_fields.extend(field for field in value.split(",") if field)
            case _:
                asked.matches[key] = value
    found = await here.ask("ingest", "Search", asked)
    return Response(f"[{','.join(found.dicom_json)}]", media_type=DICOM_JSON)


@router.get("/studies/{study}/metadata", summary="WADO-RS: metadata of a study", response_class=Response)
async def study_metadata(study: str, here: AnyMember) -> Response:
    """DICOM JSON without bulk data."""
    return await _metadata(here, study)


@router.get(
    "/studies/{study}/series/{series}/metadata", summary="WADO-RS: metadata of a series", response_class=Response
)
async def series_metadata(study: str, series: str, here: AnyMember) -> Response:
    """DICOM JSON without bulk data."""
    return await _metadata(here, study, series)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}/metadata",
    summary="WADO-RS: metadata of an instance",
    response_class=Response,
)
async def instance_metadata(study: str, series: str, instance: str, here: AnyMember) -> Response:
    """DICOM JSON without bulk data."""
    return await _metadata(here, study, series, instance)


@router.get("/studies/{study}", summary="WADO-RS: a study", response_class=Response)
async def retrieve_study(study: str, here: AnyMember) -> Response:
    """multipart/related of application/dicom, streamed from object storage."""
    return await _retrieve(here, study)


@router.get("/studies/{study}/series/{series}", summary="WADO-RS: a series", response_class=Response)
async def retrieve_series(study: str, series: str, here: AnyMember) -> Response:
    """multipart/related of application/dicom, streamed from object storage."""
    return await _retrieve(here, study, series)


@router.get(
    "/studies/{study}/series/{series}/instances/{instance}", summary="WADO-RS: an instance", response_class=Response
)
async def retrieve_instance(study: str, series: str, instance: str, here: AnyMember) -> Response:
    """multipart/related of application/dicom, in the stored transfer syntax."""
    return await _retrieve(here, study, series, instance)


@router.api_route(
    "/{path:path}", methods=["GET", "DELETE", "PUT", "PATCH"], include_in_schema=False, response_class=Response
)
async def not_offered(path: str, here: AnyMember) -> Response:
    """Everything else of PS3.18 says plainly that it is not offered."""
    raise Unimplemented("of DICOMweb, this server offers STOW-RS, QIDO-RS, and WADO-RS of instances and metadata")


async def _located(
    here: Inside, study: str, series: str, instance: str, *, metadata: bool
) -> AsyncIterator[pb.LocateResponse]:
    asked = pb.LocateRequest(
        project=here.ref, study_uid=study, series_uid=series, sop_instance_uid=instance, metadata=metadata
    )
    line = here.desk.rooms["ingest"]
    async for found in line.client.stream(line.stub.Locate, asked, timeout_s=STOW_TIMEOUT_S):
        yield found


async def _metadata(here: Inside, study: str, series: str = "", instance: str = "") -> Response:
    documents = [found.dicom_json async for found in _located(here, study, series, instance, metadata=True)]
    if not documents:
        raise NotFound("no such study, series or instance in this project")
    return Response(f"[{','.join(documents)}]", media_type=DICOM_JSON)


async def _retrieve(here: Inside, study: str, series: str = "", instance: str = "") -> Response:
    found = [located async for located in _located(here, study, series, instance, metadata=False)]
    if not found:
        raise NotFound("no such study, series or instance in this project")
    boundary = secrets.token_hex(16)
    await here.note("dicom.retrieve", f"{len(found)} instances")
    return StreamingResponse(
        _parts(here, found, boundary),
        media_type=f'multipart/related; type="application/dicom"; boundary="{boundary}"',
    )


async def _parts(here: Inside, found: list[pb.LocateResponse], boundary: str) -> AsyncIterator[bytes]:
    for located in found:
        head = f"application/dicom; transfer-syntax={located.transfer_syntax_uid}"
        yield f"\r\n--{boundary}\r\nContent-Type: {head}\r\n\r\n".encode()
        async for piece in here.desk.objects.stream(object_ref_from_proto(located.object)):
            yield piece
    yield f"\r\n--{boundary}--\r\n".encode()
