"""/quarantine: instances that may name somebody, and what a person decides about them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from irp.ingest.v1 import ingest_service_pb2 as pb
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Page, Paging, page_of, to_dict
from irp_gateway.adapters.door import AUDITED, Door, made
from irp_gateway.adapters.visitor import Curator, Inside, UidInPath
from irp_gateway.domain.configuration import Edge, Side
from irp_gateway.domain.cursor import from_cursor

router = APIRouter(prefix="/api/v1/projects/{project}/quarantine", tags=["quarantine"], route_class=Door)

PREVIEW_TIMEOUT_S = 120.0
# Whoever looks may see a patient's name: no cache keeps it, and no browser runs what a document brings along.
GUARDED = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
SHOWN: dict[str, Any] = {
    "responses": {
        200: {
            "description": "A frame; a report's lines after cleaning; or the document itself, as an attachment",
            "content": {"image/png": {}, "text/plain": {}, "application/octet-stream": {}},
        }
    },
    "response_class": Response,
    "openapi_extra": AUDITED,
}
State = Literal["waiting", "releasing", "masking", "discarding", "released", "masked", "discarded"]
Wanted = Annotated[State | Literal["all"], Query(description="only instances in this state; `all` = every one")]
Frame = Annotated[int, Query(ge=0, description="of an image, counted from 1; 0 = the middle one")]


class Region(BaseModel):
    """A rectangle in pixels, from the upper left corner of the image."""

    model_config = ConfigDict(extra="forbid")

    x: Edge
    y: Edge
    width: Side
    height: Side


class Quarantined(BaseModel):
    """An instance in quarantine; identifiers are de-identified ones."""

    id: str = Field(description="its SOPInstanceUID")
    study_uid: str
    series_uid: str
    sop_class_uid: str
    patient: str = Field(description="pseudonym")
    site: str = Field(description="the site's name in the project's data")
    modality: str = Field(examples=["US"])
    kind: Literal["image", "report", "document"] = Field(description="what a person has to look at")
    reason: str = Field(description="why it waits", examples=["SECONDARY_CAPTURE", "BURNED_IN_ANNOTATION", "RULE"])
    rows: int
    columns: int
    frames: int
    arrived_at: str
    state: State
    decided_by: str = Field(description="empty while it waits")
    decided_at: str
    regions: list[Region] = Field(description="blacked out in every frame")


class DecisionBody(BaseModel):
    """What a person decided after looking."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["release", "mask", "discard"] = Field(
        description="release: it names nobody; mask: take it with the regions blacked out; discard: remove it"
    )
    regions: list[Region] = Field([], max_length=64, description="with `mask` only")


@router.get("", summary="Instances that may name somebody")
async def list_quarantine(
    here: Curator, paging: Annotated[Paging, Query()], state: Wanted = "waiting"
) -> Page[Quarantined]:
    """Oldest first; for owners and curators. No search, volume or fact knows of those that wait."""
    asked = pb.ListQuarantineRequest(
        project=here.ref,
        state="" if state == "all" else state,
        after=from_cursor(paging.cursor),
        limit=paging.limit,
    )
    answer = await here.ask("ingest", "ListQuarantine", asked)
    items = [_told(item) for item in answer.items]
    return page_of(items, answer.next)


@router.get("/{id}", summary="One instance in quarantine")
async def get_quarantined(id: UidInPath, here: Curator) -> Quarantined:
    """Where it stands: whether its decision is carried out."""
    return _told((await _ask(here, pb.GetQuarantinedRequest(project=here.ref, id=id))).item)


@router.get("/{id}/preview", summary="What the person who decides has to look at", **SHOWN)
async def preview(id: UidInPath, here: Curator, frame: Frame = 0) -> Response:
    """Decrypted in memory. Whoever looks stands in the audit log, for this may show who the patient is."""
    shown = await _ask(here, pb.GetQuarantinedRequest(project=here.ref, id=id, preview=True, frame=frame))
    headers = GUARDED | {"Content-Type": shown.media_type}
    if shown.item.kind == "document":
        headers["Content-Disposition"] = 'attachment; filename="document.bin"'
    return Response(shown.preview, headers=headers)


@router.post("/{id}/decision", status_code=202, summary="Release, mask or discard")
async def decide(request: Request, id: UidInPath, body: DecisionBody, here: Curator, response: Response) -> Quarantined:
    """Durable when answered, carried out within seconds, and final. The same decision again changes nothing."""
    regions = [pb.PixelRegion(**region.model_dump()) for region in body.regions]
    asked = pb.DecideQuarantinedRequest(project=here.ref, id=id, action=body.action, regions=regions)
    made(request, action=body.action, regions=len(regions))
    answer = await here.ask("ingest", "DecideQuarantined", asked, timeout_s=PREVIEW_TIMEOUT_S)
    response.headers["Location"] = here.address("quarantine", id)
    return _told(answer.item)


async def _ask(here: Inside, asked: pb.GetQuarantinedRequest) -> pb.GetQuarantinedResponse:
    answer: pb.GetQuarantinedResponse = await here.ask("ingest", "GetQuarantined", asked, timeout_s=PREVIEW_TIMEOUT_S)
    return answer


def _told(item: pb.QuarantinedInstance) -> Quarantined:
    return Quarantined.model_validate(to_dict(item))
