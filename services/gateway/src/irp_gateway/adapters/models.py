"""/models: the registry - push, promote, roll back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.bounded_body import bounded
from irp_chassis.wire import object_ref_from_proto
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import Page, Paging, Progress, page_of, progress_of, read_json
from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.model_reports import MAX_NAME, ON_WHOM, InspectionAnswer, inspection_answer, judging
from irp_gateway.adapters.precisions import PrecisionAnswer, precision_answer
from irp_gateway.adapters.versions import VersionInPath, version_of
from irp_gateway.adapters.visitor import Admin, ModelInPath, Visitor
from irp_gateway.domain.cursor import from_cursor

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=Door)

REGISTER_TIMEOUT_S = 300.0
GATE_TIMEOUT_S = 60.0  # the registry answers "measuring" long before
ProjectThatJudges = Annotated[str, Query(max_length=MAX_NAME, description=ON_WHOM)]
ZIP = "application/zip"
BUNDLE_CONTENT: dict[str, Any] = {ZIP: {"schema": {"type": "string", "format": "binary"}}}
BUNDLE: dict[str, Any] = {"requestBody": {"required": True, "content": BUNDLE_CONTENT}}
BUNDLE_ANSWER: dict[str, Any] = {
    "response_class": StreamingResponse,
    "responses": {200: {"description": "The bundle", "content": BUNDLE_CONTENT}},
}


class ModelAnswer(BaseModel):
    """One version in the registry."""

    name: str
    version: int
    digest: str = Field(description="SHA-256 of the bundle")
    champion: bool
    created_at: str
    actor: str
    run_id: str = Field(description="run that made it; empty = pushed")
    dataset_digest: str
    licence: str
    structures: list[str]
    figures: dict[str, Any] = Field(description="of the model card")
    bundle_bytes: int
    aliases: list[str] = Field(description="names that it has now: champion, previous, candidate")
    pending: bool = Field(description="the gate lets it pass; its promotion waits for a second person")
    signed: bool = Field(description="the registry signed where it comes from: see `signature`")
    precisions: list[PrecisionAnswer] = Field(description="reduced precisions that were tried; float32 is always there")


class Promoted(ModelAnswer):
    """A version with the gate's verdict."""

    state: str = Field(
        description='"promoted"; "pending": a second person has to approve; "measuring": ask again',
        examples=["promoted"],
    )
    gate: dict[str, Any] = Field(
        description="passed, reason, comparisons, subgroups, checks, warnings; empty while it measures"
    )
    progress: Progress = Field(description="of the measuring")


Reason = Annotated[str, Query(max_length=400, description="why, for the history; no patient data")]


@router.get("", summary="Models of the registry")
async def list_models(
    identity: Visitor, desk: DeskHere, paging: Annotated[Paging, Query()], name: str = ""
) -> Page[ModelAnswer]:
    """Every version, with its licence and the champion marked."""
    asked = pb.ListModelsRequest(name=name, after=from_cursor(paging.cursor), limit=paging.limit)
    answer = await desk.rooms["training"].ask("ListModels", asked)
    models = [model_answer(model) for model in answer.models]
    return page_of(models, answer.next)


@router.get("/{name}/versions/{version}", summary="One version of a model")
async def get_model(name: ModelInPath, version: VersionInPath, identity: Visitor, desk: DeskHere) -> ModelAnswer:
    """With its licence, figures and the data it learnt from."""
    return model_answer(await version_of(desk, name, version))


@router.get("/{name}/versions/{version}/bundle", summary="A version as a MONAI bundle (ZIP)", **BUNDLE_ANSWER)
async def get_bundle(name: ModelInPath, version: VersionInPath, identity: Visitor, desk: DeskHere) -> StreamingResponse:
    """The bytes that its digest names: weights, configuration, card and licence."""
    found = await version_of(desk, name, version)
    headers = {
        "ETag": f'"{found.ref.digest}"',
        "Content-Length": str(found.bundle.size),
        "Content-Disposition": f'attachment; filename="{name}-{version}.zip"',
    }
    pieces = desk.objects.stream(object_ref_from_proto(found.bundle))
    return StreamingResponse(pieces, media_type=ZIP, headers=headers)


@router.post("/{name}/versions", status_code=201, summary="Push a model (MONAI bundle as ZIP)", openapi_extra=BUNDLE)
async def push(
    name: ModelInPath,
    request: Request,
    admin: Admin,
    desk: DeskHere,
    response: Response,
    project: ProjectThatJudges = "",
) -> ModelAnswer:
    """Looked through and tried out in a sandbox; the first version of a model becomes its champion.

    `GET .../versions/{version}/report` says what was found, and later how good it is on patients kept out.
    """
    header = pb.RegisterModelHeader(name=name, actor=admin.subject, promote_if_first=True)
    if found := await judging(admin, project, desk):
        header.project.CopyFrom(found)
    pieces = _pieces(header, request, desk)
    answer = await desk.rooms["training"].ask("RegisterModel", pieces, timeout_s=REGISTER_TIMEOUT_S)
    model = model_answer(answer.model)
    made(request, version=model.version)
    response.headers["Location"] = desk.address("models", name, "versions", model.version)
    return model


@router.post("/try", summary="Look through a bundle, and register nothing", openapi_extra=BUNDLE)
async def try_bundle(request: Request, admin: Admin, desk: DeskHere) -> InspectionAnswer:
    """The checks that a push would make. What is wrong with the bundle is a check that failed, not an error."""
    pieces = _pieces(pb.RegisterModelHeader(actor=admin.subject, dry_run=True), request, desk)
    answer = await desk.rooms["training"].ask("RegisterModel", pieces, timeout_s=REGISTER_TIMEOUT_S)
    return inspection_answer(answer.report.inspection)


async def _pieces(
    header: pb.RegisterModelHeader, request: Request, desk: Desk
) -> AsyncIterator[pb.RegisterModelRequest]:
    yield pb.RegisterModelRequest(header=header)
    async for piece in bounded(request, desk.limits.body):
        yield pb.RegisterModelRequest(data=piece)


@router.post("/{name}/versions/{version}/promote", summary="Make a version the champion, if the gate allows")
async def promote(
    name: ModelInPath, version: VersionInPath, admin: Admin, desk: DeskHere, response: Response
) -> Promoted:
    """Refused when it is worse than the champion on the frozen validation set.

    202 with state "pending": a second person has to agree. 202 with state "measuring": there is no verdict yet; ask
    again, by the number that is answered, which joins the measuring that goes on and waits for it up to five seconds;
    `progress` says how far it is.
    """
    asked = pb.PromoteRequest(name=name, version=version, actor=admin.subject)
    answer = await desk.rooms["training"].ask("Promote", asked, timeout_s=GATE_TIMEOUT_S)
    response.status_code = 202 if answer.state in {"pending", "measuring"} else 200
    said = model_answer(answer.model).model_dump()
    return Promoted(**said, state=answer.state, gate=read_json(answer.gate), progress=progress_of(answer.progress))


@router.post("/{name}/rollback", summary="Make the previous champion the champion again")
async def rollback(
    name: ModelInPath, admin: Admin, desk: DeskHere, request: Request, reason: Reason = ""
) -> ModelAnswer:
    """One call; the classification server follows without a failed request."""
    asked = pb.RollbackRequest(name=name, actor=admin.subject, reason=reason)
    answer = await desk.rooms["training"].ask("Rollback", asked)
    made(request, version=answer.model.ref.version)
    return model_answer(answer.model)


def model_answer(model: pb.Model) -> ModelAnswer:
    """What the API says of a model version."""
    return ModelAnswer(
        name=model.ref.name,
        version=model.ref.version,
        digest=model.ref.digest,
        champion=model.champion,
        created_at=model.created_at,
        actor=model.actor,
        run_id=model.run_id,
        dataset_digest=model.dataset_digest,
        licence=model.licence,
        structures=list(model.structures),
        figures=read_json(model.figures),
        bundle_bytes=model.bundle.size,
        aliases=list(model.aliases),
        pending=model.pending,
        signed=bool(model.signature),
        precisions=[precision_answer(trial) for trial in model.precisions],
    )
