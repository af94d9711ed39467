"""WADO-RS of pixels: frames and bulk data; ingest decodes, the gateway says in which form."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Response
from fastapi.responses import StreamingResponse
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_kernel.errors import NotFound

from irp_gateway.adapters.dicom_retrieve import INSTANCE, RETRIEVE_TIMEOUT_S, located_first
from irp_gateway.adapters.door import AUDITED, WHILE_THERE, Door
from irp_gateway.adapters.visitor import AnyMember, Inside, UidInPath
from irp_gateway.domain.dicom_media import OCTETS, frame_form, frame_numbers, wishes_of

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

PIXEL_DATA = "7FE00010"

Accept = Annotated[str, Header()]
Frames = Annotated[str, Path(description="numbers from 1 on, separated by commas", pattern=r"^[0-9,]{1,4096}$")]
PIXELS: dict[str, Any] = {
    "responses": {200: {"content": {f'multipart/related; type="{OCTETS}"': {}, OCTETS: {}}}},
    "response_class": Response,
    "openapi_extra": AUDITED | WHILE_THERE,
}


@router.get(f"{INSTANCE}/frames/{{frames}}", summary="WADO-RS: frames of an instance", **PIXELS)
async def frames(
    study: UidInPath,
    series: UidInPath,
    instance: UidInPath,
    frames: Frames,
    here: AnyMember,
    accept: Accept = "*/*",
) -> Response:
    """As stored with `transfer-syntax=*`, else decoded; several as multipart/related. PS3.18 section 10.4.1.1.6."""
    asked = instance_ref(here, study, series, instance)
    wishes, numbers = wishes_of(accept), frame_numbers(frames)
    media_type, decoded = frame_form(wishes, await _stored_syntax(here, asked))
    found = _frames(here, pb.FramesRequest(instance=asked, frames=numbers, decoded=decoded))
    first = await anext(found)  # what is not there is a problem, not a broken answer
    if len(numbers) == 1 and not wishes[0].multipart and "multipart" not in accept:
        return Response(first.data, headers={"Content-Type": _labelled(media_type, first)})
    return _multipart(media_type, first, found)


@router.get(f"{INSTANCE}/bulkdata/{{tag}}", summary="WADO-RS: bulk data of an instance", **PIXELS)
async def bulk_data(
    study: UidInPath,
    series: UidInPath,
    instance: UidInPath,
    tag: Annotated[str, Path(pattern=r"^[0-9A-Fa-f]{8}$")],
    here: AnyMember,
    accept: Accept = "*/*",
) -> Response:
    """Pixel Data (7FE00010) of all frames, decoded: what the metadata's BulkDataURI names."""
    if tag.upper() != PIXEL_DATA:
        raise NotFound("the metadata names the bulk data that there is")
    asked = instance_ref(here, study, series, instance)
    frame_form(wishes_of(accept), "1.2.840.10008.1.2.1")
    found = _frames(here, pb.FramesRequest(instance=asked, decoded=True))
    first = await anext(found)

    async def body() -> AsyncIterator[bytes]:
        yield first.data
        async for frame in found:
            yield frame.data

    if "multipart" in accept:
        return _one_part(body())
    return StreamingResponse(body(), headers={"Content-Type": OCTETS})


def instance_ref(here: Inside, study: str, series: str = "", instance: str = "") -> pb.InstanceRef:
    """A study, series or instance of the caller's project."""
    return pb.InstanceRef(project=here.ref, study_uid=study, series_uid=series, sop_instance_uid=instance)


async def _stored_syntax(here: Inside, asked: pb.InstanceRef) -> str:
    first, _ = await located_first(here, asked.study_uid, asked.series_uid, asked.sop_instance_uid)
    return str(first.transfer_syntax_uid)


def _frames(here: Inside, request: pb.FramesRequest) -> AsyncIterator[pb.FramesResponse]:
    return here.stream("ingest", "Frames", request, timeout_s=RETRIEVE_TIMEOUT_S)


def _labelled(media_type: str, frame: pb.FramesResponse) -> str:
    return f"{media_type}; transfer-syntax={frame.transfer_syntax_uid}"


def _multipart(media_type: str, first: pb.FramesResponse, others: AsyncIterator[pb.FramesResponse]) -> Response:
    boundary = secrets.token_hex(16)

    async def parts() -> AsyncIterator[bytes]:
        head = f"\r\n--{boundary}\r\nContent-Type: {_labelled(media_type, first)}\r\n\r\n".encode()
        yield head + first.data
        async for frame in others:
            yield head + frame.data
        yield f"\r\n--{boundary}--\r\n".encode()

    kind = f'multipart/related; type="{media_type}"; boundary="{boundary}"'
    return StreamingResponse(parts(), headers={"Content-Type": kind})


def _one_part(body: AsyncIterator[bytes]) -> Response:
    boundary = secrets.token_hex(16)

    async def part() -> AsyncIterator[bytes]:
        yield f"\r\n--{boundary}\r\nContent-Type: {OCTETS}\r\n\r\n".encode()
        async for piece in body:
            yield piece
        yield f"\r\n--{boundary}--\r\n".encode()

    kind = f'multipart/related; type="{OCTETS}"; boundary="{boundary}"'
    return StreamingResponse(part(), headers={"Content-Type": kind})
