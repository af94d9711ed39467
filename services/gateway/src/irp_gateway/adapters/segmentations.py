"""/segmentations: masks and contours in, versions, review, export out."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request, Response
from irp.annotation.v1 import annotation_service_pb2 as pb
from irp_kernel.codec import NIFTI, NRRD
from irp_kernel.errors import NotFound, UnsupportedMediaType
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters import bodies
from irp_gateway.adapters.answers import Page, Paging, Provenance, page, provenance_of
from irp_gateway.adapters.door import AUDITED, WHILE_THERE, Door, made
from irp_gateway.adapters.segment import DICOM, JSON, MASK_TYPES
from irp_gateway.adapters.visitor import Annotator, AnyMember, IdInPath, UidInPath
from irp_gateway.domain.errors import BodyNotReadable
from irp_gateway.domain.negotiation import choose

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["segmentations"], route_class=Door)

State = Literal["draft", "submitted", "accepted"]
CREATE_TIMEOUT_S = EXPORT_TIMEOUT_S = 120.0
_BY_NAME = {".nii": NIFTI, ".nii.gz": NIFTI, ".nrrd": NRRD, ".dcm": DICOM, ".json": JSON}
FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["mask"],
                    "properties": {
                        "mask": {
                            "type": "string",
                            "format": "binary",
                            "description": "NIfTI, NRRD, DICOM SEG, or contours as JSON; by its Content-Type or name",
                        },
                        "label_table": {
                            "type": "string",
                            "description": 'JSON: {"1": {"name": "lv_blood_pool"}}; NIfTI needs it',
                        },
                        "annotated": {
                            "type": "string",
                            "description": 'JSON: {"lv_myocardium": {"frames": [0], "slices": [2, 3]}} or [[t, s]]; '
                            "what is not listed is unknown. Empty = where the structure carries labels",
                        },
                        "certainty": {"type": "integer", "minimum": 0, "maximum": 3, "description": "0 = not said"},
                    },
                }
            }
        },
    }
}
EXPORTED: dict[str, Any] = {
    "responses": {200: {"description": "The mask, by Accept", "content": {kind: {} for kind in MASK_TYPES}}},
    "response_class": Response,
    "openapi_extra": AUDITED | WHILE_THERE,
}


class ReviewBody(BaseModel):
    """The next state of a version."""

    model_config = ConfigDict(extra="forbid")

    state: Literal["submitted", "accepted", "rejected"]


class StructureSummary(BaseModel):
    """One structure of a mask."""

    name: str
    value: int
    voxels: int = Field(description="with this label, over all time points")
    annotated: int = Field(description="(time, slice) pairs that were judged for it; the others are unknown")


class SegmentationAnswer(BaseModel):
    """One immutable version with its present state."""

    id: str
    series_uid: str
    version: int
    state: str = Field(description='"proposed", "draft", "submitted", "accepted" or "rejected"')
    digest: str = Field(description="SHA-256 of the stored mask")
    structures: list[StructureSummary]
    provenance: Provenance


@router.post("/series/{uid}/segmentations", status_code=201, summary="Send a mask or contours", openapi_extra=FORM)
async def create(
    uid: UidInPath, request: Request, here: Annotator, response: Response, state: State = "draft"
) -> SegmentationAnswer:
    """Geometry is checked against the series; what was not annotated is unknown, never background."""
    fields = await bodies.read_form(request, file="mask", limit=here.desk.limits.body)
    if "mask" not in fields:
        raise BodyNotReadable("the form has no field `mask`")
    asked = pb.CreateSegmentationRequest(
        project=here.ref,
        series_uid=uid,
        media_type=_media_type(fields["mask"]),
        body=fields["mask"].data,
        label_table=_json(fields, "label_table"),
        annotated=_json(fields, "annotated"),
        certainty=_certainty(fields),
        state=state,
        actor=here.subject,
    )
    answer = await here.ask("annotation", "CreateSegmentation", asked, timeout_s=CREATE_TIMEOUT_S)
    segmentation = segmentation_answer(answer.segmentation)
    made(request, segmentation=segmentation.id, state=segmentation.state)
    response.headers["Location"] = here.address("segmentations", segmentation.id)
    return segmentation


@router.get("/series/{uid}/segmentations", summary="Every version of a series")
async def list_segmentations(
    uid: UidInPath, here: AnyMember, paging: Annotated[Paging, Query()]
) -> Page[SegmentationAnswer]:
    """Newest last."""
    asked = pb.ListSegmentationsRequest(project=here.ref, series_uid=uid)
    answer = await here.ask("annotation", "ListSegmentations", asked)
    return page([segmentation_answer(found) for found in answer.segmentations], paging.cursor, paging.limit)


@router.get("/segmentations/{id}", summary="One version: state, structures, provenance")
async def get_segmentation(id: IdInPath, here: AnyMember) -> SegmentationAnswer:
    """The mask itself comes from its `export`."""
    asked = pb.ListSegmentationsRequest(project=here.ref, segmentation_id=id)
    answer = await here.ask("annotation", "ListSegmentations", asked)
    found = next((segmentation for segmentation in answer.segmentations if segmentation.id == id), None)
    if found is None:
        raise NotFound("no such segmentation in this project")
    return segmentation_answer(found)


@router.post("/segmentations/{id}/review", summary="Submit, accept or reject a version")
async def review(id: IdInPath, body: ReviewBody, here: Annotator, request: Request) -> SegmentationAnswer:
    """An accepted version reaches training and radiomics."""
    asked = pb.ReviewRequest(project=here.ref, segmentation_id=id, state=body.state, actor=here.subject)
    answer = await here.ask("annotation", "Review", asked)
    made(request, state=body.state)
    return segmentation_answer(answer.segmentation)


@router.get("/segmentations/{id}/export", summary="One version as a file", **EXPORTED)
async def export(id: IdInPath, here: AnyMember, accept: Annotated[str, Header()] = "*/*") -> Response:
    """By Accept: NIfTI, NRRD, DICOM SEG, or contours as JSON."""
    asked = pb.ExportRequest(project=here.ref, segmentation_id=id, media_type=choose(accept, MASK_TYPES))
    answer = await here.ask("annotation", "Export", asked, timeout_s=EXPORT_TIMEOUT_S)
    headers = {
        "Content-Type": answer.media_type,
        "Content-Disposition": f'attachment; filename="{answer.file_name}"',
    }
    return Response(answer.body, headers=headers)


def segmentation_answer(segmentation: pb.Segmentation) -> SegmentationAnswer:
    """What the API says of a version."""
    return SegmentationAnswer(
        id=segmentation.id,
        series_uid=segmentation.series_uid,
        version=segmentation.version,
        state=segmentation.state,
        digest=segmentation.mask.sha256,
        structures=[
            StructureSummary(name=s.name, value=s.value, voxels=s.voxels, annotated=s.annotated)
            for s in segmentation.structures
        ],
        provenance=provenance_of(segmentation.provenance),
    )


def _media_type(field: bodies.Field) -> str:
    if field.media_type in MASK_TYPES:
        return field.media_type
    name = field.file_name.lower()
    found = next((kind for ending, kind in _BY_NAME.items() if name.endswith(ending)), None)
    if found is None:
        raise UnsupportedMediaType(f"a mask is one of {', '.join(MASK_TYPES)}")
    return found


def _json(fields: dict[str, bodies.Field], name: str) -> str:
    text = fields[name].text if name in fields else ""
    if text:
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            raise BodyNotReadable(f"the field `{name}` is not JSON") from None
    return text


def _certainty(fields: dict[str, bodies.Field]) -> int:
    text = fields["certainty"].text.strip() if "certainty" in fields else ""
    if text not in {"", "0", "1", "2", "3"}:
        raise BodyNotReadable("the field `certainty` is 1, 2 or 3")
    return int(text or 0)
