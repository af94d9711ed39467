"""WADO-RS: ingest says where the objects are, the gateway streams them from the store."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.wire import object_ref_from_proto
from irp_kernel.errors import NotAcceptable, NotFound
from starlette.exceptions import HTTPException

from irp_gateway.adapters.dicom_store import ANSWERS, DICOM, DICOM_JSON, MULTIPART
from irp_gateway.adapters.door import AUDITED, Door
from irp_gateway.adapters.visitor import AnyMember, Inside, UidInPath
from irp_gateway.domain.errors import NotOffered
from irp_gateway.domain.multipart import parameters_of
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

RETRIEVE_TIMEOUT_S = 3600.0
STUDY, SERIES = "/studies/{study}", "/studies/{study}/series/{series}"
INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"
NOT_HERE = {"frames", "rendered", "thumbnail", "bulkdata", "pixeldata"}

Accept = Annotated[str, Header()]
METADATA: dict[str, Any] = {
    "responses": {200: {"content": {DICOM_JSON: {}}}},
    "response_class": Response,
    "openapi_extra": AUDITED,
}
OBJECTS: dict[str, Any] = {
    "responses": {200: {"content": {f'{MULTIPART}; type="{DICOM}"': {}}}},
    "response_class": Response,
    "openapi_extra": AUDITED,
}


@router.get(f"{STUDY}/metadata", summary="WADO-RS: metadata of a study", **METADATA)
async def study_metadata(study: UidInPath, here: AnyMember, accept: Accept = "*/*") -> Response:
    """DICOM JSON without bulk data."""
    return await _metadata(here, accept, study)


@router.get(f"{SERIES}/metadata", summary="WADO-RS: metadata of a series", **METADATA)
async def series_metadata(study: UidInPath, series: UidInPath, here: AnyMember, accept: Accept = "*/*") -> Response:
    """DICOM JSON without bulk data."""
    return await _metadata(here, accept, study, series)


@router.get(f"{INSTANCE}/metadata", summary="WADO-RS: metadata of an instance", **METADATA)
async def instance_metadata(
    study: UidInPath, series: UidInPath, instance: UidInPath, here: AnyMember, accept: Accept = "*/*"
) -> Response:
    """DICOM JSON without bulk data."""
    return await _metadata(here, accept, study, series, instance)


@router.get(STUDY, summary="WADO-RS: a study", **OBJECTS)
async def retrieve_study(study: UidInPath, here: AnyMember, accept: Accept = "*/*") -> Response:
    """multipart/related of application/dicom, in the stored transfer syntax."""
    return await _retrieve(here, accept, study)


@router.get(SERIES, summary="WADO-RS: a series", **OBJECTS)
async def retrieve_series(study: UidInPath, series: UidInPath, here: AnyMember, accept: Accept = "*/*") -> Response:
    """multipart/related of application/dicom, in the stored transfer syntax."""
    return await _retrieve(here, accept, study, series)


@router.get(INSTANCE, summary="WADO-RS: an instance", **OBJECTS)
async def retrieve_instance(
    study: UidInPath, series: UidInPath, instance: UidInPath, here: AnyMember, accept: Accept = "*/*"
) -> Response:
    """multipart/related, or with `Accept: application/dicom` the file alone; in the stored transfer syntax."""
    return await _retrieve(here, accept, study, series, instance)


@router.api_route(
    "/{path:path}",
    methods=["GET", "POST", "DELETE", "PUT", "PATCH"],
    include_in_schema=False,
    response_class=Response,
    name="not_offered",
)
async def not_offered(path: str, request: Request, here: AnyMember) -> Response:
    """Everything else of PS3.18 says plainly what it is: not offered, a wrong method, or no address at all."""
    words = set(path.split("/"))
    if (request.method == "GET" and words & NOT_HERE) or words & {"workitems", "capabilities"}:
        raise NotOffered
    if path.split("/")[0] in {"studies", "series", "instances"} and request.method != "GET":
        allowed = "GET, POST" if len(path.split("/")) <= 2 and path.startswith("studies") else "GET"
        raise HTTPException(405, "images are never changed or deleted through DICOMweb", {"Allow": allowed})
    raise NotFound("no such address of DICOMweb")


def _located(
    here: Inside, study: str, series: str, instance: str, *, metadata: bool
) -> AsyncIterator[pb.LocateResponse]:
    asked = pb.LocateRequest(
        project=here.ref, study_uid=study, series_uid=series, sop_instance_uid=instance, metadata=metadata
    )
    return here.stream("ingest", "Locate", asked, timeout_s=RETRIEVE_TIMEOUT_S)


async def _first(located: AsyncIterator[pb.LocateResponse]) -> pb.LocateResponse:
    """The first instance, before any byte of the answer is sent: what is not there is a problem, not an empty 200."""
    try:
        return await anext(located)
    except StopAsyncIteration:
        raise NotFound("no such study, series or instance in this project") from None


async def _metadata(here: Inside, accept: str, study: str, series: str = "", instance: str = "") -> Response:
    media_type = choose(accept, ANSWERS)
    located = _located(here, study, series, instance, metadata=True)
    first = await _first(located)

    async def array() -> AsyncIterator[str]:
        yield f"[{first.dicom_json}"
        async for found in located:
            yield f",{found.dicom_json}"
        yield "]"

    return StreamingResponse(array(), headers={"Content-Type": media_type})


async def _retrieve(here: Inside, accept: str, study: str, series: str = "", instance: str = "") -> Response:
    offered = (MULTIPART, DICOM) if instance else (MULTIPART,)
    media_type = choose(accept, offered)
    located = _located(here, study, series, instance, metadata=False)
    first = await _first(located)
    _check_syntax(accept, first.transfer_syntax_uid)
    if media_type == DICOM:
        pieces, size = _bytes_of(here, first), str(first.object.size)
        return StreamingResponse(pieces, headers={"Content-Type": DICOM, "Content-Length": size})
    boundary = secrets.token_hex(16)
    head = {"Content-Type": f'{MULTIPART}; type="{DICOM}"; boundary="{boundary}"'}
    return StreamingResponse(_parts(here, first, located, boundary), headers=head)


def _check_syntax(accept: str, stored: str) -> None:
    """Refuse if every wish names another transfer syntax: images are handed out as they are stored."""
    wishes = [parameters_of(wish).get("transfer-syntax", "*") for wish in accept.split(",")]
    if wishes and not {"*", stored} & set(wishes):
        raise NotAcceptable(f"stored is the transfer syntax {stored}")


async def _parts(
    here: Inside, first: pb.LocateResponse, others: AsyncIterator[pb.LocateResponse], boundary: str
) -> AsyncIterator[bytes]:
    async def every() -> AsyncIterator[pb.LocateResponse]:
        yield first
        async for other in others:
            yield other

    async for located in every():
        head = f"{DICOM}; transfer-syntax={located.transfer_syntax_uid}"
        yield f"\r\n--{boundary}\r\nContent-Type: {head}\r\n\r\n".encode()
        async for piece in _bytes_of(here, located):
            yield piece
    yield f"\r\n--{boundary}--\r\n".encode()


def _bytes_of(here: Inside, located: pb.LocateResponse) -> AsyncIterator[bytes]:
    return here.desk.objects.stream(object_ref_from_proto(located.object))
