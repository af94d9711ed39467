"""/series: what was uploaded, its volume, its quality, and one segmentation now."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response
from google.protobuf.json_format import MessageToDict
from irp.annotation.v1 import annotation_service_pb2 as annotation_pb
from irp.inference.v1 import inference_service_pb2 as inference_pb
from irp.ingest.v1 import ingest_service_pb2 as ingest_pb
from irp.quality.v1 import quality_service_pb2 as quality_pb
from irp_chassis.wire import object_ref_from_proto
from irp_kernel import decode_mask, decode_volume, encode_mask, encode_volume
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.errors import FailedPrecondition, InvalidArgument
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.visitor import Annotator, AnyMember, Inside, Uploader
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}/series", tags=["series"])

DICOM, JSON = "application/dicom", "application/json"
MASK_TYPES = (NIFTI, NRRD, DICOM, JSON)
SEGMENT_TIMEOUT_S = 300.0


class SegmentBody(BaseModel):
    """What to segment."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(examples=["cine", "cine@2"])
    slices: list[int] | None = Field(None, examples=[[4]], description="slice indices; null = all")
    frames: list[int] | None = Field(None, description="time points; null = all")
    prompts: dict[str, Any] | None = Field(None, description="for interactive models")


class RatingBody(BaseModel):
    """A reader's judgement of a series."""

    stars: int = Field(ge=1, le=5)
    form: dict[str, Any] = Field(default={}, description="answers to the project's quality form")


@router.get("", summary="Every series of the project")
async def list_series(here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """Newest last, with the state of each."""
    answer = await here.ask("ingest", "ListSeries", ingest_pb.ListSeriesRequest(project=here.ref))
    return {"items": [series_answer(state) for state in answer.series]}


@router.get("/{uid}", summary="One series: state, geometry, sequence class")
async def get_series(uid: str, here: AnyMember) -> dict[str, Any]:
    """`uid` is the SeriesInstanceUID that STOW's answer and QIDO return."""
    return series_answer(await series_state(here, uid))


@router.post("/{uid}/complete", status_code=202, summary="No more instances will come: assemble now")
async def complete(uid: str, here: Uploader) -> dict[str, str]:
    """Without this, a series is complete when nothing new arrived for `series_quiet_s`."""
    await here.ask("ingest", "CompleteSeries", ingest_pb.CompleteSeriesRequest(project=here.ref, series_uids=[uid]))
    return {"status": "assembling"}


@router.get("/{uid}/volume", summary="The image as NIfTI or NRRD", response_class=Response)
async def volume(uid: str, here: AnyMember, accept: Annotated[str, Header()] = "*/*") -> Response:
    """By Accept: application/x-nifti (gzip) or application/x-nrrd."""
    media_type = choose(accept, (NIFTI, NRRD))
    state = await assembled(here, uid)
    data = await here.desk.objects.get(object_ref_from_proto(state.series.volume))
    if media_type == NIFTI:
        data = encode_volume(decode_volume(data), NIFTI)
    return Response(data, media_type=media_type, headers={"ETag": f'"{state.series.volume.sha256}"'})


@router.get("/{uid}/quality", summary="Quality parameters, computed at import")
async def quality(uid: str, here: AnyMember) -> dict[str, Any]:
    """Per series and per slice; definitions and sources stand in the quality room's README."""
    report = await here.ask("quality", "GetReport", quality_pb.GetReportRequest(project=here.ref, series_uid=uid))
    return {
        "series_uid": report.series_uid,
        "verdict": report.verdict,
        "parameters": plain(report.parameters),
        "slices": [{"slice": s.slice, "parameters": plain(s.parameters)} for s in report.slices],
        "provenance": to_dict(report.provenance),
        "digest": report.report.sha256,
    }


@router.post("/{uid}/ratings", status_code=201, summary="Rate a series: stars and form")
async def rate(uid: str, body: RatingBody, here: AnyMember) -> dict[str, Any]:
    """One rating per reader; rating again makes a new version of it."""
    asked = quality_pb.RateRequest(
        project=here.ref, series_uid=uid, rater=here.identity.subject, stars=body.stars, form=json.dumps(body.form)
    )
    answer = await here.ask("quality", "Rate", asked)
    await here.note("quality.rate", uid, 201)
    return {"series_uid": uid, "version": answer.version}


@router.get("/{uid}/ratings", summary="Every reader's rating")
async def ratings(uid: str, here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """By reader."""
    asked = quality_pb.ListRatingsRequest(project=here.ref, series_uid=uid)
    answer = await here.ask("quality", "ListRatings", asked)
    return {"items": [{**to_dict(r), "form": json.loads(r.form or "{}")} for r in answer.ratings]}


@router.post("/{uid}/segment", summary="One segmentation, now", response_class=Response)
async def segment(uid: str, body: SegmentBody, here: Annotator, accept: Annotated[str, Header()] = "*/*") -> Response:
    """By Accept: NIfTI, NRRD (the image's own grid), DICOM SEG, or contours as JSON; Server-Timing has the stages."""
    if body.prompts:
        raise InvalidArgument("the model takes no prompts")
    media_type = choose(accept, MASK_TYPES)
    asked = inference_pb.SegmentRequest(
        project=here.ref, series_uid=uid, model=body.model, slices=body.slices or [], frames=body.frames or []
    )
    answer = await here.ask("inference", "Segment", asked, timeout_s=SEGMENT_TIMEOUT_S)
    began = time.perf_counter()
    data = await _encode(here, uid, answer, media_type)
    timings = {**answer.timings_ms, "convert": (time.perf_counter() - began) * 1000}
    model = answer.provenance.model
    headers = {
        "Server-Timing": ", ".join(f"{stage};dur={ms:.1f}" for stage, ms in timings.items()),
        "X-IRP-Model": f"{model.name}@{model.version}",
        "X-IRP-Model-Digest": model.digest,
    }
    return Response(data, media_type=media_type, headers=headers)


async def _encode(here: Inside, uid: str, answer: inference_pb.SegmentResponse, media_type: str) -> bytes:
    if media_type == NRRD:
        return answer.mask
    if media_type == NIFTI:
        return encode_mask(decode_mask(answer.mask), NIFTI)
    asked = annotation_pb.EncodeRequest(
        project=here.ref, series_uid=uid, mask=answer.mask, media_type=media_type, provenance=answer.provenance
    )
    encoded: bytes = (await here.ask("annotation", "Encode", asked)).body
    return encoded


@router.post("/{uid}/propose", status_code=202, summary="Segment the whole series as a proposal")
async def propose(uid: str, body: SegmentBody, here: Annotator, response: Response) -> dict[str, str]:
    """The proposal appears in the series' segmentations."""
    asked = inference_pb.ProposeRequest(project=here.ref, series_uid=uid, model=body.model)
    answer = await here.ask("inference", "Propose", asked)
    base = here.desk.public_url
    response.headers["Location"] = f"{base}/api/v1/projects/{here.project.id}/series/{uid}/segmentations"
    return {"job_id": answer.job_id}


async def series_state(here: Inside, uid: str) -> ingest_pb.SeriesState:
    """State of a series; SeriesUnknown if there is none."""
    asked = ingest_pb.GetSeriesRequest(project=here.ref, series_uid=uid)
    state: ingest_pb.SeriesState = (await here.ask("ingest", "GetSeries", asked)).series
    return state


async def assembled(here: Inside, uid: str) -> ingest_pb.SeriesState:
    """State of a series that has a volume; FailedPrecondition otherwise."""
    state = await series_state(here, uid)
    if state.state != "assembled":
        raise FailedPrecondition(f"the series is {state.state}: {state.reason or 'wait until it is complete'}")
    return state


def series_answer(state: ingest_pb.SeriesState) -> dict[str, Any]:
    """What the API says of a series."""
    series = state.series
    return {
        "series_uid": series.series_uid,
        "study_uid": series.study_uid,
        "patient": series.patient,
        "site": series.site,
        "state": state.state,
        "reason": state.reason,
        "message": state.message,
        "version": state.version,
        "instances": state.instances,
        "sequence_class": series.sequence_class,
        "modality": series.modality,
        "shape": list(series.shape),
        "spacing_mm": list(series.spacing_mm),
        "volume_sha256": series.volume.sha256,
    }


def to_dict(message: Any) -> dict[str, Any]:
    """A message as the API says it: snake_case, numbers as numbers."""
    found: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return found


def plain(parameters: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers for JSON: what is not known is null."""
    return {name: (value if value == value else None) for name, value in sorted(parameters.items())}
