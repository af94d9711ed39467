"""/series: what was uploaded, in which state, and its volume."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Response
from irp.ingest.v1 import ingest_service_pb2 as pb
from irp_chassis.wire import object_ref_from_proto
from irp_kernel import decode_volume, encode_volume
from irp_kernel.codec import NIFTI, NRRD
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import Page, Paging, known, page, page_of, to_dict
from irp_gateway.adapters.door import AUDITED, Door
from irp_gateway.adapters.visitor import AnyMember, Inside, UidInPath, Uploader
from irp_gateway.domain.cursor import from_cursor
from irp_gateway.domain.errors import SeriesNotAssembled
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["series"], route_class=Door)

VOLUME: dict[str, Any] = {
    "responses": {200: {"description": "The image on its own grid", "content": {NIFTI: {}, NRRD: {}}}},
    "response_class": Response,
    "openapi_extra": AUDITED,
}


class SeriesAnswer(BaseModel):
    """A series and the state of its assembly."""

    series_uid: str = Field(description="de-identified SeriesInstanceUID, as in STOW's answer and QIDO")
    study_uid: str
    patient: str = Field(description="pseudonym")
    site: str
    state: Literal["receiving", "assembled", "not_assembled"]
    reason: str = Field(description="why it is not assembled; empty otherwise", examples=["SERIES_ORIENTATION_MIXED"])
    message: str
    version: int = Field(description="of the volume: late instances make a new one; 0 = none yet")
    instances: int
    sequence_class: str = Field(examples=["cine-sax"])
    modality: str
    manufacturer: str
    field_strength_t: float | None
    age_years: float | None
    sex: str
    shape: list[int] = Field(description="(time, slice, row, column)")
    spacing_mm: list[float] = Field(description="(slice, row, column)")
    volume_sha256: str


class Assembling(BaseModel):
    """A series is being assembled."""

    status: Literal["assembling"] = "assembling"


class Rejection(BaseModel):
    """Something was refused; nothing of the refused data is kept."""

    at: str
    reason: str
    message: str
    count: int


@router.get("/series", summary="Every series of the project")
async def list_series(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[SeriesAnswer]:
    """Newest last, with the state of each."""
    asked = pb.ListSeriesRequest(project=here.ref, after=from_cursor(paging.cursor), limit=paging.limit)
    answer = await here.ask("ingest", "ListSeries", asked)
    return page_of([series_answer(state) for state in answer.series], answer.next)


@router.get("/series/{uid}", summary="One series: state, geometry, sequence class")
async def get_series(uid: UidInPath, here: AnyMember) -> SeriesAnswer:
    """`uid` is the SeriesInstanceUID that STOW's answer and QIDO return."""
    return series_answer(await series_state(here, uid))


@router.post("/series/{uid}/complete", status_code=202, summary="No more instances will come: assemble now")
async def complete(uid: UidInPath, here: Uploader, response: Response) -> Assembling:
    """Without this, a series is complete when nothing new arrived for `series_quiet_s`."""
    await here.ask("ingest", "CompleteSeries", pb.CompleteSeriesRequest(project=here.ref, series_uids=[uid]))
    response.headers["Location"] = here.address("series", uid)
    return Assembling()


@router.get("/series/{uid}/volume", summary="The image as NIfTI or NRRD", **VOLUME)
async def volume(uid: UidInPath, here: AnyMember, accept: Annotated[str, Header()] = "*/*") -> Response:
    """By Accept: application/x-nifti (gzip) or application/x-nrrd; DICOM comes by WADO-RS."""
    media_type = choose(accept, (NIFTI, NRRD))
    state = await series_state(here, uid)
    if state.state != "assembled":
        raise SeriesNotAssembled(f"the series is {state.state} {state.reason}".strip())
    data = await here.desk.objects.get(object_ref_from_proto(state.series.volume))
    if media_type == NIFTI:
        data = await asyncio.to_thread(lambda: encode_volume(decode_volume(data), NIFTI))
    headers = {"ETag": f'"{state.series.volume.sha256}"', "Content-Type": media_type}
    return Response(data, headers=headers)


@router.get("/rejections", summary="What was refused, and why")
async def rejections(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[Rejection]:
    """Reasons and counts; nothing of the refused data."""
    answer = await here.ask("ingest", "ListRejections", pb.ListRejectionsRequest(project=here.ref))
    items = [Rejection.model_validate(to_dict(rejection)) for rejection in answer.rejections]
    return page(items, paging.cursor, paging.limit)


async def series_state(here: Inside, uid: str) -> pb.SeriesState:
    """State of a series; SeriesUnknown if there is none."""
    asked = pb.GetSeriesRequest(project=here.ref, series_uid=uid)
    state: pb.SeriesState = (await here.ask("ingest", "GetSeries", asked)).series
    return state


def series_answer(state: pb.SeriesState) -> SeriesAnswer:
    """What the API says of a series."""
    series = state.series
    return SeriesAnswer(
        series_uid=series.series_uid,
        study_uid=series.study_uid,
        patient=series.patient,
        site=series.site,
        state=state.state,
        reason=state.reason,
        message=state.message,
        version=state.version,
        instances=state.instances,
        sequence_class=series.sequence_class,
        modality=series.modality,
        manufacturer=series.manufacturer,
        field_strength_t=known(series.field_strength_t) or None,
        age_years=known(series.age_years) if series.volume.sha256 else None,
        sex=series.sex,
        shape=list(series.shape),
        spacing_mm=list(series.spacing_mm),
        volume_sha256=series.volume.sha256,
    )
