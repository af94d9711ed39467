"""/segmentations: masks and contours in, versions, review, export out."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Header, Response, UploadFile
from irp.annotation.v1 import annotation_service_pb2 as pb
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.errors import InvalidArgument, TooLarge, UnsupportedMediaType
from pydantic import BaseModel

from irp_gateway.adapters.series import DICOM, JSON, MASK_TYPES, to_dict
from irp_gateway.adapters.visitor import Annotator, AnyMember, Inside
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["segmentations"])

State = Literal["draft", "submitted", "accepted"]
_BY_NAME = {".nii": NIFTI, ".nii.gz": NIFTI, ".nrrd": NRRD, ".dcm": DICOM, ".json": JSON}


class ReviewBody(BaseModel):
    """The next state of a version."""

    state: Literal["submitted", "accepted", "rejected"]


@router.post("/series/{uid}/segmentations", status_code=201, summary="Send a mask or contours")
async def create(
    uid: str,
    here: Annotator,
    response: Response,
    mask: Annotated[UploadFile, File(description="NIfTI, NRRD, DICOM SEG, or contours as JSON")],
    label_table: Annotated[str, Form(description='JSON: {"1": {"name": "lv_blood_pool"}}')] = "",
    annotated: Annotated[str, Form(description="JSON: which (frame, slice) each structure was judged on")] = "",
    certainty: Annotated[int, Form(ge=0, le=3)] = 0,
    state: State = "draft",
) -> dict[str, Any]:
    """Geometry is checked against the series; what was not annotated is unknown, never background."""
    data = await mask.read(here.desk.max_body_bytes + 1)
    if len(data) > here.desk.max_body_bytes:
        raise TooLarge(f"at most {here.desk.max_body_bytes} bytes", limit_bytes=here.desk.max_body_bytes)
    for name, text in (("label_table", label_table), ("annotated", annotated)):
        _require_json(name, text)
    asked = pb.CreateSegmentationRequest(
        project=here.ref,
        series_uid=uid,
        media_type=_media_type(mask),
        body=data,
        label_table=label_table,
        annotated=annotated,
        certainty=certainty,
        state=state,
        actor=here.identity.subject,
    )
    answer = await here.ask("annotation", "CreateSegmentation", asked)
    segmentation = _answer(answer.segmentation)
    response.headers["Location"] = _address(here, segmentation["id"])
    await here.note(f"segmentation.{state}", segmentation["id"], 201)
    return segmentation


@router.get("/series/{uid}/segmentations", summary="Every version of a series")
async def list_segmentations(uid: str, here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """Newest last."""
    asked = pb.ListSegmentationsRequest(project=here.ref, series_uid=uid)
    answer = await here.ask("annotation", "ListSegmentations", asked)
    return {"items": [_answer(segmentation) for segmentation in answer.segmentations]}


@router.post("/segmentations/{id}/review", summary="Submit, accept or reject a version")
async def review(id: str, body: ReviewBody, here: Annotator) -> dict[str, Any]:
    """An accepted version reaches training and radiomics."""
    asked = pb.ReviewRequest(project=here.ref, segmentation_id=id, state=body.state, actor=here.identity.subject)
    answer = await here.ask("annotation", "Review", asked)
    await here.note(f"segmentation.{body.state}", id)
    return _answer(answer.segmentation)


@router.get("/segmentations/{id}/export", summary="One version as a file", response_class=Response)
async def export(id: str, here: AnyMember, accept: Annotated[str, Header()] = "*/*") -> Response:
    """By Accept: NIfTI, NRRD, DICOM SEG, or contours as JSON."""
    asked = pb.ExportRequest(project=here.ref, segmentation_id=id, media_type=choose(accept, MASK_TYPES))
    answer = await here.ask("annotation", "Export", asked, timeout_s=120)
    headers = {"Content-Disposition": f'attachment; filename="{answer.file_name}"'}
    return Response(answer.body, media_type=answer.media_type, headers=headers)


def _media_type(file: UploadFile) -> str:
    said = (file.content_type or "").split(";")[0].strip().lower()
    if said in MASK_TYPES:
        return said
    name = (file.filename or "").lower()
    found = next((kind for ending, kind in _BY_NAME.items() if name.endswith(ending)), None)
    if found is None:
        raise UnsupportedMediaType(f"a mask is one of {', '.join(MASK_TYPES)}")
    return found


def _require_json(name: str, text: str) -> None:
    if text:
        try:
            json.loads(text)
        except ValueError:
            raise InvalidArgument(f"the field {name} is not JSON") from None


def _answer(segmentation: pb.Segmentation) -> dict[str, Any]:
    found = to_dict(segmentation)
    found["version"] = segmentation.version
    found["digest"] = segmentation.mask.sha256
    del found["mask"]
    return found


def _address(here: Inside, id: str) -> str:
    return f"{here.desk.public_url}/api/v1/projects/{here.project.id}/segmentations/{id}"
