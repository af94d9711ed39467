"""WADO-RS of pictures: rendered resources and thumbnails; ingest draws, the gateway says what and in which form.

With `Accept: multipart/related` every image of a study or series comes, one part each; with a media type of pictures
the middle one stands for all. Source: PS3.18 sections 8.3.5, 8.7.4 and 10.4.1.1.3.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.responses import StreamingResponse
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_kernel.errors import NotAcceptable

from irp_gateway.adapters.dicom_pixels import Frames, instance_ref
from irp_gateway.adapters.dicom_retrieve import INSTANCE, RETRIEVE_TIMEOUT_S, SERIES, STUDY
from irp_gateway.adapters.door import AUDITED, WHILE_THERE, Door
from irp_gateway.adapters.visitor import AnyMember, Inside, UidInPath
from irp_gateway.domain.dicom_media import PICTURES, frame_numbers, picture_form, viewport_of, window_of
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}/dicom-web", tags=["dicomweb"], route_class=Door)

THUMBNAIL = [128, 128]
RENDER_TIMEOUT_S = 120.0
SIDES = ("width", "height", "source_x", "source_y", "source_width", "source_height")
PARTS = 'multipart/related; type="image/jpeg"'

Viewport = Annotated[str, Query(description="width,height[,x,y,width,height]: PS3.18 8.3.5.1.3")]
Window = Annotated[str, Query(description="center,width[,linear|linear-exact|sigmoid]: PS3.18 8.3.5.1.4")]
Quality = Annotated[int, Query(ge=1, le=100, description="of JPEG")]
Wanted = Annotated[str, Query(alias="accept", description="goes before the header Accept: PS3.18 8.3.3.1")]
PICTURE: dict[str, Any] = {
    "responses": {200: {"content": {kind: {} for kind in PICTURES}}},
    "response_class": Response,
    "openapi_extra": AUDITED | WHILE_THERE,
}
RENDERED: dict[str, Any] = PICTURE | {"responses": {200: {"content": {kind: {} for kind in (*PICTURES, PARTS)}}}}


@dataclass(frozen=True, slots=True)
class Looks:
    """What pictures are to be like, as the request says."""

    accept: str
    viewport: list[int]
    window: tuple[float, float, str] | None
    quality: int

    def request(self, asked: pb.InstanceRef, media_type: str, frame: int = 0) -> pb.RenderRequest:
        """What ingest is asked for."""
        said = self.window
        return pb.RenderRequest(
            instance=asked,
            frame=frame,
            media_type=media_type,
            quality=self.quality,
            window=pb.Window(center=said[0], width=said[1], function=said[2]) if said else None,
            viewport=pb.Viewport(**dict(zip(SIDES, self.viewport, strict=False))),
        )


async def _looks(
    accept: Annotated[str, Header()] = "*/*",
    wanted: Wanted = "",
    viewport: Viewport = "",
    window: Window = "",
    quality: Quality = 90,
) -> Looks:
    return Looks(wanted or accept, viewport_of(viewport), window_of(window), quality)


async def _small(accept: Annotated[str, Header()] = "*/*", wanted: Wanted = "", viewport: Viewport = "") -> Looks:
    return Looks(wanted or accept, viewport_of(viewport) or THUMBNAIL, None, 90)


AsWanted = Annotated[Looks, Depends(_looks)]
Small = Annotated[Looks, Depends(_small)]


@router.get(f"{STUDY}/rendered", summary="WADO-RS: every image of a study as a picture", **RENDERED)
async def rendered_study(study: UidInPath, here: AnyMember, looks: AsWanted) -> Response:
    """multipart/related with a JPEG, PNG or GIF of each frame; or its middle image alone, if Accept says image/..."""
    return await _every(here, instance_ref(here, study), looks)


@router.get(f"{SERIES}/rendered", summary="WADO-RS: every image of a series as a picture", **RENDERED)
async def rendered_series(study: UidInPath, series: UidInPath, here: AnyMember, looks: AsWanted) -> Response:
    """multipart/related with a JPEG, PNG or GIF of each frame; or its middle image alone, if Accept says image/..."""
    return await _every(here, instance_ref(here, study, series), looks)


@router.get(f"{INSTANCE}/rendered", summary="WADO-RS: an instance as a picture", **RENDERED)
async def rendered_instance(
    study: UidInPath, series: UidInPath, instance: UidInPath, here: AnyMember, looks: AsWanted
) -> Response:
    """JPEG, PNG or GIF of its middle frame; of every frame, if Accept says multipart/related."""
    return await _every(here, instance_ref(here, study, series, instance), looks, several=False)


@router.get(f"{INSTANCE}/frames/{{frames}}/rendered", summary="WADO-RS: frames as pictures", **RENDERED)
async def rendered_frames(
    study: UidInPath, series: UidInPath, instance: UidInPath, frames: Frames, here: AnyMember, looks: AsWanted
) -> Response:
    """JPEG, PNG or GIF, in the file's own window or another; several frames as multipart/related."""
    asked, numbers = instance_ref(here, study, series, instance), frame_numbers(frames)
    media_type, multipart = picture_form(looks.accept, several=len(numbers) > 1)
    if multipart:
        return await _parts(here, pb.RenderAllRequest(picture=looks.request(asked, media_type), frames=numbers))
    if len(numbers) > 1:
        raise NotAcceptable("several frames come as multipart/related")
    return await _one(here, looks.request(asked, media_type, numbers[0]))


@router.get(f"{STUDY}/thumbnail", summary="WADO-RS: a study as a small picture", **PICTURE)
async def study_thumbnail(study: UidInPath, here: AnyMember, looks: Small) -> Response:
    """Its middle image, 128 x 128 pixels at most, or as `viewport` says."""
    return await _thumbnail(here, instance_ref(here, study), looks)


@router.get(f"{SERIES}/thumbnail", summary="WADO-RS: a series as a small picture", **PICTURE)
async def series_thumbnail(study: UidInPath, series: UidInPath, here: AnyMember, looks: Small) -> Response:
    """Its middle image, 128 x 128 pixels at most, or as `viewport` says."""
    return await _thumbnail(here, instance_ref(here, study, series), looks)


@router.get(f"{INSTANCE}/thumbnail", summary="WADO-RS: an instance as a small picture", **PICTURE)
async def instance_thumbnail(
    study: UidInPath, series: UidInPath, instance: UidInPath, here: AnyMember, looks: Small
) -> Response:
    """Its middle frame, 128 x 128 pixels at most, or as `viewport` says."""
    return await _thumbnail(here, instance_ref(here, study, series, instance), looks)


@router.get(f"{INSTANCE}/frames/{{frame}}/thumbnail", summary="WADO-RS: a frame as a small picture", **PICTURE)
async def frame_thumbnail(
    study: UidInPath,
    series: UidInPath,
    instance: UidInPath,
    frame: Annotated[int, Path(ge=1, le=2**31 - 1)],
    here: AnyMember,
    looks: Small,
) -> Response:
    """128 x 128 pixels at most, or as `viewport` says."""
    return await _thumbnail(here, instance_ref(here, study, series, instance), looks, frame)


async def _thumbnail(here: Inside, asked: pb.InstanceRef, looks: Looks, frame: int = 0) -> Response:
    return await _one(here, looks.request(asked, choose(looks.accept, PICTURES), frame))


async def _every(here: Inside, asked: pb.InstanceRef, looks: Looks, *, several: bool = True) -> Response:
    media_type, multipart = picture_form(looks.accept, several=several)
    if multipart:
        return await _parts(here, pb.RenderAllRequest(picture=looks.request(asked, media_type)))
    return await _one(here, looks.request(asked, media_type))


async def _one(here: Inside, request: pb.RenderRequest) -> Response:
    picture = await here.ask("ingest", "Render", request, timeout_s=RENDER_TIMEOUT_S)
    return Response(picture.data, headers={"Content-Type": request.media_type})


async def _parts(here: Inside, request: pb.RenderAllRequest) -> Response:
    """A part for each picture, as they are drawn; Content-Location says which one it is."""
    pictures = here.stream("ingest", "RenderAll", request, timeout_s=RETRIEVE_TIMEOUT_S)
    first = await anext(pictures)  # what cannot be shown at all is a problem, not an empty answer
    boundary, kind = secrets.token_hex(16), request.picture.media_type
    study = here.address("dicom-web", "studies", request.picture.instance.study_uid)

    def part(shown: pb.RenderAllResponse) -> bytes:
        place = f"{study}/series/{shown.series_uid}/instances/{shown.sop_instance_uid}/frames/{shown.frame}/rendered"
        return f"\r\n--{boundary}\r\nContent-Type: {kind}\r\nContent-Location: {place}\r\n\r\n".encode() + shown.data

    async def body() -> AsyncIterator[bytes]:
        yield part(first)
        async for shown in pictures:
            yield part(shown)
        yield f"\r\n--{boundary}--\r\n".encode()

    return StreamingResponse(
        body(), headers={"Content-Type": f'multipart/related; type="{kind}"; boundary="{boundary}"'}
    )
