"""/segment and /propose: the classification server answers while a reader waits, or as a job."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request, Response
from irp.annotation.v1 import annotation_service_pb2 as annotation_pb
from irp.inference.v1 import inference_service_pb2 as pb
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.slices import encode_slices
from pydantic import BaseModel, ConfigDict, Field, model_validator

from irp_gateway.adapters.answers import provenance_of
from irp_gateway.adapters.door import WHILE_THERE, Door, made
from irp_gateway.adapters.labels import contours_json, labels_of
from irp_gateway.adapters.options import OptionsBody, estimate_json, uncertainty_file
from irp_gateway.adapters.prompts import AlgorithmBody, PromptsBody, algorithm_message, prompts_message, require_one
from irp_gateway.adapters.proposals import shown_id
from irp_gateway.adapters.rooms import series_key
from irp_gateway.adapters.visitor import Annotator, AnyMember, Inside, UidInPath
from irp_gateway.domain.naming import MODEL
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}/series/{uid}", tags=["segmentations"], route_class=Door)

DICOM, JSON = "application/dicom", "application/json"
MASK_TYPES = (NIFTI, NRRD, DICOM, JSON)
MAP_TYPES = (NIFTI, NRRD)
SEGMENT_TIMEOUT_S, ENCODE_TIMEOUT_S = 300.0, 120.0
MASK_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The mask, by Accept",
        "content": {kind: {} for kind in MASK_TYPES},
        "headers": {
            "Server-Timing": {"description": "milliseconds of each stage", "schema": {"type": "string"}},
            "X-IRP-Model": {"description": "name@version", "schema": {"type": "string"}},
            "X-IRP-Model-Digest": {"description": "SHA-256 of the bundle", "schema": {"type": "string"}},
            "X-IRP-Warnings": {
                "description": "what a reader should look at twice, as codes; absent = nothing",
                "schema": {"type": "string"},
                "example": "touches-window, implausible",
            },
            "X-IRP-Provenance": {"description": "how it came to be, as JSON", "schema": {"type": "string"}},
        },
    }
}

Index = Annotated[int, Field(ge=0, le=100_000)]
ModelWanted = Annotated[
    str,
    Field(
        pattern=MODEL,
        description="a name is the version that serves; or a version by number, alias or digest, as in paths",
        examples=["cine", "cine@2", "cine@previous"],
    ),
]


class SegmentBody(BaseModel):
    """What to segment."""

    model_config = ConfigDict(extra="forbid")

    model: ModelWanted | None = Field(None, description="which model; or `algorithm`")
    algorithm: AlgorithmBody | None = Field(None, description="a conventional method instead of a model")
    slices: list[Index] | None = Field(None, min_length=1, examples=[[4]], description="slice indices; null = all")
    frames: list[Index] | None = Field(None, min_length=1, description="time points; null = all")
    options: OptionsBody = Field(default_factory=OptionsBody, description="how a model's answer is made")
    answer: Literal["mask", "uncertainty"] = Field(
        "mask", description="uncertainty: a map from 0 (certain) to 255 on the image's grid, as NIfTI or NRRD"
    )
    prompts: PromptsBody | None = Field(None, description="what a reader marked, for what takes marks")

    @model_validator(mode="after")
    def _one_of(self) -> SegmentBody:
        require_one(self.model, self.algorithm)
        if self.answer == "uncertainty" and not self.options.uncertainty:
            raise ValueError("answer uncertainty needs options.uncertainty")
        return self


class ProposeBody(BaseModel):
    """Which model shall propose."""

    model_config = ConfigDict(extra="forbid")

    model: ModelWanted


class Proposing(BaseModel):
    """A proposal is on its way."""

    job_id: str = Field(description="`GET .../proposals/{job_id}` tells how far it is")


@router.post(
    "/segment",
    summary="One segmentation, now",
    responses=MASK_ANSWER,
    response_class=Response,
    openapi_extra=WHILE_THERE,
)
async def segment(
    uid: UidInPath, body: SegmentBody, here: AnyMember, request: Request, accept: Annotated[str, Header()] = "*/*"
) -> Response:
    """By Accept: NIfTI (gzip, the image's own grid), NRRD, DICOM SEG, or contours as JSON. Stores nothing.

    Leave, and what is being computed for you ends.
    """
    media_type = choose(accept, MASK_TYPES if body.answer == "mask" else MAP_TYPES)
    asked = pb.SegmentRequest(
        project=here.ref,
        series_uid=uid,
        model=body.model or "",
        slices=body.slices or [],
        frames=body.frames or [],
        prompts=prompts_message(body.prompts) if body.prompts else None,
        algorithm=algorithm_message(body.algorithm) if body.algorithm else None,
        options=body.options.to_proto(),
        compact=True,
    )
    began = time.perf_counter()
    answer = await here.ask("inference", "Segment", asked, timeout_s=SEGMENT_TIMEOUT_S, series=series_key(asked))
    answered = time.perf_counter()
    if body.answer == "uncertainty":
        data = await asyncio.to_thread(uncertainty_file, answer, media_type)
    else:
        data = await _encode(here, uid, answer, media_type)
    ended = time.perf_counter()
    stages = {**answer.timings_ms, "convert": (ended - answered) * 1000, "total": (ended - began) * 1000}
    made(request, model=f"{answer.provenance.model.name}@{answer.provenance.model.version}")
    return Response(data, headers={"Content-Type": media_type, **_headers(answer, stages)})


@router.post("/propose", status_code=202, summary="Segment the whole series as a proposal")
async def propose(
    uid: UidInPath, body: ProposeBody, here: Annotator, request: Request, response: Response
) -> Proposing:
    """202 after the job is committed; the proposal appears at Location.

    Asked for again, one that failed is made anew; one that is made is answered, unless another version of the model
    would answer now, or the series was replaced: then there is a new one.
    """
    asked = pb.ProposeRequest(project=here.ref, series_uid=uid, model=body.model)
    answer = await here.ask("inference", "Propose", asked)
    job = shown_id(here, answer.job_id)
    made(request, job=job)
    response.headers["Location"] = here.address("series", uid, "segmentations")
    return Proposing(job_id=job)


async def _encode(here: Inside, uid: str, answer: pb.SegmentResponse, media_type: str) -> bytes:
    if media_type != DICOM:
        return await asyncio.to_thread(_write, uid, answer, media_type)
    asked = annotation_pb.EncodeRequest(
        project=here.ref,
        series_uid=uid,
        mask=await asyncio.to_thread(_write, uid, answer, NRRD),
        media_type=media_type,
        provenance=answer.provenance,
    )
    encoded: bytes = (await here.ask("annotation", "Encode", asked, timeout_s=ENCODE_TIMEOUT_S)).body
    return encoded


def _write(uid: str, answer: pb.SegmentResponse, media_type: str) -> bytes:
    found = labels_of(answer)
    if media_type == JSON:
        return contours_json(found, uid, provenance_of(answer.provenance).model_dump(), estimate_json(answer))
    return encode_slices(found, media_type)


def _headers(answer: pb.SegmentResponse, stages: dict[str, float]) -> dict[str, str]:
    model = answer.provenance.model
    warnings = ", ".join(answer.estimate.warning_codes)
    return {
        **({"X-IRP-Warnings": warnings} if warnings else {}),
        "Server-Timing": ", ".join(f"{stage};dur={ms:.1f}" for stage, ms in stages.items()),
        "X-IRP-Model": f"{model.name}@{model.version}",
        "X-IRP-Model-Digest": model.digest,
        "X-IRP-Provenance": provenance_of(answer.provenance).model_dump_json(),
    }
