"""WADO-RS of pixels: frames, pictures, thumbnails and bulk data; ingest decodes, the gateway says in which form."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_kernel.errors import NotFound

from irp_gateway.adapters.dicom_retrieve import INSTANCE, RETRIEVE_TIMEOUT_S, SERIES, STUDY, located_first
from irp_gateway.adapters.door import AUDITED, Door
from irp_gateway.adapters.visitor import AnyMember, Inside, UidInPath
from irp_gateway.domain.dicom_media import OCTETS, frame_form, frame_numbers, viewport_of, window_of, wishes_of
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

PIXEL_DATA = "7FE00010"
PICTURES = ("image/jpeg", "image/png")
THUMBNAIL = [128, 128]
RENDER_TIMEOUT_S = 120.0
SIDES = ("width", "height", "source_x", "source_y", "source_width", "source_height")

Accept = Annotated[str, Header()]
Frames = Annotated[str, Path(description="numbers from 1 on, separated by commas", pattern=r"^[0-9,]{1,4096}$")]
Viewport = Annotated[str, Query(description="width,height[,x,y,width,height]: PS3.18 8.3.5.1.3")]
Window = Annotated[str, Query(description="center,width[,linear|linear-exact|sigmoid]: PS3.18 8.3.5.1.4")]
Quality = Annotated[int, Query(ge=1, le=100, description="of JPEG")]
PICTURE: dict[str, Any] = {
    "responses": {200: {"content": {kind: {} for kind in PICTURES}}},
    "response_class": Response,
    "openapi_extra": AUDITED,
}
PIXELS: dict[str, Any] = {
    "responses": {200: {"content": {f'multipart/related; type="{OCTETS}"': {}, OCTETS: {}}}},
    "response_class": Response,
    "openapi_extra": AUDITED,
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
    asked = _instance(here, study, series, instance)
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
    asked = _instance(here, study, series, instance)
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


@router.get(f"{INSTANCE}/rendered", summary="WADO-RS: an instance as a picture", **PICTURE)
async def rendered_instance(
    study: UidInPath,
    series: UidInPath,
    instance: UidInPath,
    here: AnyMember,
    viewport: Viewport = "",
    window: Window = "",
    quality: Quality = 90,
    accept: Accept = "*/*",
) -> Response:
    """JPEG or PNG of its middle frame."""
    asked = _instance(here, study, series, instance)
    return await _picture(here, asked, 0, accept, viewport_of(viewport), window, quality)


@router.get(f"{INSTANCE}/frames/{{frame}}/rendered", summary="WADO-RS: a frame as a picture", **PICTURE)
async def rendered_frame(
    study: UidInPath,
    series: UidInPath,
    instance: UidInPath,
    frame: Annotated[int, Path(ge=1)],
    here: AnyMember,
    viewport: Viewport = "",
    window: Window = "",
    quality: Quality = 90,
    accept: Accept = "*/*",
) -> Response:
    """JPEG or PNG, in the file's own window or another."""
    asked = _instance(here, study, series, instance)
    return await _picture(here, asked, frame, accept, viewport_of(viewport), window, quality)


@router.get(f"{STUDY}/thumbnail", summary="WADO-RS: a study as a small picture", **PICTURE)
async def study_thumbnail(
    study: UidInPath, here: AnyMember, viewport: Viewport = "", accept: Accept = "*/*"
) -> Response:
    """Its middle instance, 128 x 128 pixels at most, or as `viewport` says."""
    return await _picture(here, _instance(here, study), 0, accept, viewport_of(viewport) or THUMBNAIL)


@router.get(f"{SERIES}/thumbnail", summary="WADO-RS: a series as a small picture", **PICTURE)
async def series_thumbnail(
    study: UidInPath, series: UidInPath, here: AnyMember, viewport: Viewport = "", accept: Accept = "*/*"
) -> Response:
    """Its middle instance, 128 x 128 pixels at most, or as `viewport` says."""
    return await _picture(here, _instance(here, study, series), 0, accept, viewport_of(viewport) or THUMBNAIL)


@router.get(f"{INSTANCE}/thumbnail", summary="WADO-RS: an instance as a small picture", **PICTURE)
async def instance_thumbnail(
    study: UidInPath,
    series: UidInPath,
    instance: UidInPath,
    here: AnyMember,
    viewport: Viewport = "",
    accept: Accept = "*/*",
) -> Response:
    """Its middle frame, 128 x 128 pixels at most, or as `viewport` says."""
    asked = _instance(here, study, series, instance)
    return await _picture(here, asked, 0, accept, viewport_of(viewport) or THUMBNAIL)


def _instance(here: Inside, study: str, series: str = "", instance: str = "") -> pb.InstanceRef:
    return pb.InstanceRef(project=here.ref, study_uid=study, series_uid=series, sop_instance_uid=instance)


async def _stored_syntax(here: Inside, asked: pb.InstanceRef) -> str:
    first, _ = await located_first(here, asked.study_uid, asked.series_uid, asked.sop_instance_uid)
    return str(first.transfer_syntax_uid)


def _frames(here: Inside, request: pb.FramesRequest) -> AsyncIterator[pb.FramesResponse]:
    return here.stream("ingest", "Frames", request, timeout_s=RETRIEVE_TIMEOUT_S)


async def _picture(
    here: Inside,
    asked: pb.InstanceRef,
    frame: int,
    accept: str,
    viewport: list[int],
    window: str = "",
    quality: int = 90,
) -> Response:
    media_type, said = choose(accept, PICTURES), window_of(window)
    request = pb.RenderRequest(
        instance=asked,
        frame=frame,
        media_type=media_type,
        quality=quality,
        window=pb.Window(center=said[0], width=said[1], function=said[2]) if said else None,
        viewport=pb.Viewport(**dict(zip(SIDES, viewport, strict=False))),
    )
    picture = await here.ask("ingest", "Render", request, timeout_s=RENDER_TIMEOUT_S)
    return Response(picture.data, headers={"Content-Type": media_type})


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
