"""/models/{name}/versions/{version}/validate: a version before a frozen dataset, and the signed report of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_chassis.wire import object_ref_from_proto
from pydantic import BaseModel, ConfigDict, Field, model_validator

from irp_gateway.adapters.answers import Progress, progress_of, read_json
from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import AUDITED, Door, made
from irp_gateway.adapters.model_reports import FREEZING_TIMEOUT_S, judging
from irp_gateway.adapters.versions import VersionInPath
from irp_gateway.adapters.visitor import Admin, ModelInPath, Visitor
from irp_gateway.domain.errors import ReportFileUnknown
from irp_gateway.domain.roles import Identity

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=Door)

File = Literal["report.json", "report.html", "report.pdf", "signature.jws"]
IdOfValidation = Annotated[str, Path(pattern=r"^[0-9a-f]{16}$", description="id of a validation")]
# A report is read from disk or shown alone: it loads nothing, and runs nothing.
CLOSED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox"
REPORT: dict[str, Any] = {
    "response_class": Response,
    "openapi_extra": AUDITED,
    "responses": {
        200: {
            "description": "The file",
            "content": {
                media_type: {"schema": {"type": "string", "format": "binary"}}
                for media_type in ("application/json", "text/html", "application/pdf", "application/jose")
            },
        }
    },
}


class ValidateBody(BaseModel):
    """What shall judge."""

    model_config = ConfigDict(extra="forbid")

    project: str = Field(
        "",
        max_length=48,
        description="its accepted masks judge; empty = the frozen dataset of the version's run, or else the newest of "
        "the model",
    )
    dataset: str = Field(
        "",
        pattern=r"^([0-9a-f]{8,64})?$",
        description="a dataset that the project froze before, by its digest or at least 8 digits of it; empty = the "
        "project's masks are frozen now",
    )
    split: Literal["", "test", "validation"] = Field(
        "", description="which of its patients; empty = `test` where there is somebody in it"
    )

    @model_validator(mode="after")
    def _of_a_project(self) -> ValidateBody:
        if self.dataset and not self.project:
            raise ValueError("say the project of the dataset")
        return self


class ReportFile(BaseModel):
    """One file of a report."""

    name: str = Field(examples=["report.html"])
    sha256: str
    bytes: int
    href: str


class ValidationAnswer(BaseModel):
    """A version before a frozen dataset."""

    id: str
    name: str
    version: int
    digest: str = Field(description="SHA-256 of the bundle")
    project: str = Field(description="whose patients judge: only its members see the report")
    dataset_digest: str
    split: str
    state: str = Field(description='"queued", "running", "succeeded" or "failed"')
    progress: Progress
    reason: str = Field(description="why it failed; empty otherwise")
    message: str
    summary: dict[str, Any] = Field(description="Dice per structure with its 95 % interval over patients")
    files: list[ReportFile] = Field(
        description="`signature.jws` is a compact JWS of the hashes of the others; its key is among /models/keys"
    )
    actor: str
    created_at: str
    finished_at: str


@router.post("/{name}/versions/{version}/validate", status_code=202, summary="Validate a version")
async def validate(
    request: Request,
    name: ModelInPath,
    version: VersionInPath,
    body: ValidateBody,
    admin: Admin,
    desk: DeskHere,
    response: Response,
) -> ValidationAnswer:
    """A job; the same question again is answered as it is. Refused on patients that the model has learnt from."""
    asked = pb.ValidateModelRequest(
        name=name, version=version, actor=admin.subject, split=body.split, dataset=body.dataset
    )
    if found := await judging(admin, body.project, desk):
        asked.project.CopyFrom(found)
    answer = await desk.rooms["training"].ask("ValidateModel", asked, timeout_s=FREEZING_TIMEOUT_S)
    await desk.enter(admin, answer.validation.project)  # as for looking at it: nobody need have named the project
    validation = _answer(answer.validation, desk)
    made(request, version=version, validation=validation.id)
    response.headers["Location"] = _address(desk, answer.validation)
    return validation


@router.get("/{name}/versions/{version}/validations/{id}", summary="How far a validation is, and what it found")
async def get_validation(
    name: ModelInPath, version: VersionInPath, id: IdOfValidation, identity: Visitor, desk: DeskHere
) -> ValidationAnswer:
    """For members of the project whose patients judge."""
    return _answer(await _validation(desk, identity, name, version, id), desk)


@router.get("/{name}/versions/{version}/validations/{id}/{file}", summary="One file of its report", **REPORT)
async def get_report_file(
    request: Request,
    name: ModelInPath,
    version: VersionInPath,
    id: IdOfValidation,
    file: File,
    identity: Visitor,
    desk: DeskHere,
) -> Response:
    """JSON has every figure; HTML and PDF show them with the worst cases; the signature checks them offline."""
    found = await _validation(desk, identity, name, version, id)
    made(request, project=found.project)
    for one in found.files:
        if one.name == file:
            ref = object_ref_from_proto(one.object)
            headers = {
                "ETag": f'"{ref.sha256}"',
                "Content-Disposition": f'attachment; filename="{file}"',
                "Content-Security-Policy": CLOSED,
            }
            return Response(await desk.objects.get(ref), media_type=ref.media_type, headers=headers)
    raise ReportFileUnknown


async def _validation(desk: Desk, identity: Identity, name: str, version: int, id: str) -> pb.Validation:
    """A validation, for members of its project: its report shows their patients' hearts."""
    asked, training = pb.GetValidationRequest(name=name, version=version, id=id), desk.rooms["training"]
    found: pb.Validation = (await training.ask("GetValidation", asked)).validation
    project, member = await desk.enter(identity, found.project)
    if not found.state:  # the room told whose it is, and tells the rest inside
        act_as(Caller(subject=identity.subject, project=project.id, roles=member.roles))
        found = (await training.ask("GetValidation", asked)).validation
    return found


def _answer(found: pb.Validation, desk: Desk) -> ValidationAnswer:
    return ValidationAnswer(
        id=found.id,
        name=found.model.name,
        version=found.model.version,
        digest=found.model.digest,
        project=found.project,
        dataset_digest=found.dataset_digest,
        split=found.split,
        state=found.state,
        progress=progress_of(found.progress),
        reason=found.reason,
        message=found.message,
        summary=read_json(found.summary),
        files=[
            ReportFile(
                name=one.name,
                sha256=one.object.sha256,
                bytes=one.object.size,
                href=f"{_address(desk, found)}/{one.name}",
            )
            for one in found.files
        ],
        actor=found.actor,
        created_at=found.created_at,
        finished_at=found.finished_at,
    )


def _address(desk: Desk, found: pb.Validation) -> str:
    return desk.address("models", found.model.name, "versions", found.model.version, "validations", found.id)
