"""WADO-RS: ingest says where the objects are, the gateway streams them from the store."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.wire import object_ref_from_proto
from irp_kernel.errors import NotFound
from starlette.exceptions import HTTPException

from irp_gateway.adapters.dicom_store import ANSWERS, DICOM, DICOM_JSON, MULTIPART
from irp_gateway.adapters.door import AUDITED, Door
from irp_gateway.adapters.visitor import AnyMember, Inside, UidInPath
from irp_gateway.domain.dicom_media import Wish, file_syntax, wishes_of
from irp_gateway.domain.errors import NotOffered
from irp_gateway.domain.negotiation import choose
from irp_gateway.domain.ranges import is_known, wanted_range

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

RETRIEVE_TIMEOUT_S = 3600.0
STUDY, SERIES = "/studies/{study}", "/studies/{study}/series/{series}"
INSTANCE = "/studies/{study}/series/{series}/instances/{instance}"
NOT_HERE = {"pixeldata"}  # pixels by another name
PIXELS, ROWS = "7FE00010", '"00280010"'

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
    """DICOM JSON; Pixel Data by BulkDataURI."""
    return await _metadata(here, accept, study)


@router.get(f"{SERIES}/metadata", summary="WADO-RS: metadata of a series", **METADATA)
async def series_metadata(study: UidInPath, series: UidInPath, here: AnyMember, accept: Accept = "*/*") -> Response:
    """DICOM JSON; Pixel Data by BulkDataURI."""
    return await _metadata(here, accept, study, series)


@router.get(f"{INSTANCE}/metadata", summary="WADO-RS: metadata of an instance", **METADATA)
async def instance_metadata(
    study: UidInPath, series: UidInPath, instance: UidInPath, here: AnyMember, accept: Accept = "*/*"
) -> Response:
    """DICOM JSON; Pixel Data by BulkDataURI."""
    return await _metadata(here, accept, study, series, instance)


@router.get(STUDY, summary="WADO-RS: a study", **OBJECTS)
async def retrieve_study(study: UidInPath, here: AnyMember, accept: Accept = "*/*") -> Response:
    """Explicit VR Little Endian; as stored with `transfer-syntax=*`."""
    return await _retrieve(here, accept, study)


@router.get(SERIES, summary="WADO-RS: a series", **OBJECTS)
async def retrieve_series(study: UidInPath, series: UidInPath, here: AnyMember, accept: Accept = "*/*") -> Response:
    """Explicit VR Little Endian; as stored with `transfer-syntax=*`."""
    return await _retrieve(here, accept, study, series)


@router.get(INSTANCE, summary="WADO-RS: an instance", **OBJECTS)
async def retrieve_instance(
    study: UidInPath,
    series: UidInPath,
    instance: UidInPath,
    here: AnyMember,
    accept: Accept = "*/*",
    range_: Annotated[str, Header(alias="range")] = "",
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """multipart/related, or with `Accept: application/dicom` the file alone (as stored: with ETag and Range)."""
    if choose(accept, (MULTIPART, DICOM)) == DICOM:
        return await _single(here, accept, (study, series, instance), range_, if_none_match)
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
        raise HTTPException(405, "images are never changed through DICOMweb", {"Allow": allowed(path)})
    raise NotFound("no such address of DICOMweb")


def allowed(path: str) -> str:
    """Methods of an address below dicom-web/: what has a UID may be deleted, and studies are stored to."""
    words = path.split("/")
    deleted = words[::2] in (["studies"], ["studies", "series"], ["studies", "series", "instances"])
    stored = words[0] == "studies" and len(words) <= len(("studies", "UID"))
    return "GET" + ", POST" * stored + ", DELETE" * (deleted and len(words) % 2 == 0)


async def located_first(
    here: Inside, study: str, series: str = "", instance: str = "", *, metadata: bool = False
) -> tuple[pb.LocateResponse, AsyncIterator[pb.LocateResponse]]:
    """The first instance, before any byte of the answer is sent: what is not there is a problem, not an empty 200."""
    asked = pb.LocateRequest(
        project=here.ref, study_uid=study, series_uid=series, sop_instance_uid=instance, metadata=metadata
    )
    located = here.stream("ingest", "Locate", asked, timeout_s=RETRIEVE_TIMEOUT_S)
    try:
        return await anext(located), located
    except StopAsyncIteration:
        raise NotFound("no such study, series or instance in this project") from None


async def _metadata(here: Inside, accept: str, study: str, series: str = "", instance: str = "") -> Response:
    media_type = choose(accept, ANSWERS)
    first, others = await located_first(here, study, series, instance, metadata=True)

    async def array() -> AsyncIterator[str]:
        yield f"[{_with_bulk_data(here, first)}"
        async for found in others:
            yield f",{_with_bulk_data(here, found)}"
        yield "]"

    return StreamingResponse(array(), headers={"Content-Type": media_type})


def _with_bulk_data(here: Inside, found: pb.LocateResponse) -> str:
    """The metadata, with an address for Pixel Data where there are pixels. Source: PS3.18 F.2.6."""
    if ROWS not in found.dicom_json:
        return str(found.dicom_json)
    path = ("studies", found.study_uid, "series", found.series_uid, "instances", found.sop_instance_uid)
    address = here.address("dicom-web", *path, "bulkdata", PIXELS)
    # Tags ascend, and none of a stored instance comes after Pixel Data: no need to parse it all again.
    return f'{found.dicom_json[:-1]},"{PIXELS}":{{"vr":"OW","BulkDataURI":"{address}"}}}}'


async def _single(
    here: Inside, accept: str, uids: tuple[str, str, str], range_header: str, if_none_match: str
) -> Response:
    """One file, without multipart."""
    located, _ = await located_first(here, *uids)
    if file_syntax(wishes_of(accept), located.transfer_syntax_uid) != located.transfer_syntax_uid:
        return StreamingResponse(_transcoded(here, located), headers={"Content-Type": DICOM})
    ref = object_ref_from_proto(located.object)
    head = {"Content-Type": DICOM, "ETag": f'"{ref.sha256}"', "Accept-Ranges": "bytes"}
    if is_known(if_none_match, head["ETag"]):
        return Response(status_code=304, headers=head)
    part = wanted_range(range_header, ref.size)
    if part is None:
        return StreamingResponse(here.desk.objects.stream(ref), headers=head | {"Content-Length": str(ref.size)})
    start, length = part
    head |= {"Content-Length": str(length), "Content-Range": f"bytes {start}-{start + length - 1}/{ref.size}"}
    return StreamingResponse(here.desk.objects.stream(ref, start=start, length=length), 206, head)


async def _retrieve(here: Inside, accept: str, study: str, series: str = "", instance: str = "") -> Response:
    choose(accept, (MULTIPART,))
    first, others = await located_first(here, study, series, instance)
    wishes = wishes_of(accept)
    file_syntax(wishes, first.transfer_syntax_uid)
    boundary = secrets.token_hex(16)
    head = {"Content-Type": f'{MULTIPART}; type="{DICOM}"; boundary="{boundary}"'}
    return StreamingResponse(_parts(here, wishes, first, others, boundary), headers=head)


async def _parts(
    here: Inside,
    wishes: list[Wish],
    first: pb.LocateResponse,
    others: AsyncIterator[pb.LocateResponse],
    boundary: str,
) -> AsyncIterator[bytes]:
    async def every() -> AsyncIterator[pb.LocateResponse]:
        yield first
        async for other in others:
            yield other

    async for located in every():
        syntax = file_syntax(wishes, located.transfer_syntax_uid)
        yield f"\r\n--{boundary}\r\nContent-Type: {DICOM}; transfer-syntax={syntax}\r\n\r\n".encode()
        stored = syntax == located.transfer_syntax_uid
        async for piece in _stored(here, located) if stored else _transcoded(here, located):
            yield piece
    yield f"\r\n--{boundary}--\r\n".encode()


def _stored(here: Inside, located: pb.LocateResponse) -> AsyncIterator[bytes]:
    return here.desk.objects.stream(object_ref_from_proto(located.object))


async def _transcoded(here: Inside, located: pb.LocateResponse) -> AsyncIterator[bytes]:
    """In Explicit VR Little Endian."""
    uids = {name: getattr(located, name) for name in ("study_uid", "series_uid", "sop_instance_uid")}
    asked = pb.TranscodeRequest(instance=pb.InstanceRef(project=here.ref, **uids))
    async for piece in here.stream("ingest", "Transcode", asked, timeout_s=RETRIEVE_TIMEOUT_S):
        yield piece.data
