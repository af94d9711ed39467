"""/models/{name}/versions/{version}/report: what was found of a version, and how good it is beside the champion."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from irp.common.v1 import types_pb2
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.auth import ADMIN as ADMIN_ROLE
from irp_chassis.auth import Caller, act_as
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Progress, progress_of, read_json
from irp_gateway.adapters.desk import Desk, DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.versions import VersionInPath
from irp_gateway.adapters.visitor import Admin, Inside, ModelInPath, Visitor
from irp_gateway.domain.roles import Identity

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=Door)

FREEZING_TIMEOUT_S = 120.0
MAX_NAME = 48  # of a project
ON_WHOM = (
    "judge on this project's accepted masks (split `validation`); empty = on the frozen validation set of the "
    "version's run, or else the newest of the model, if there is one"
)


class ReportBody(BaseModel):
    """On whom to judge."""

    model_config = ConfigDict(extra="forbid")

    project: str = Field("", max_length=MAX_NAME, description=ON_WHOM)


class CheckAnswer(BaseModel):
    """One thing that was looked at."""

    name: str
    state: str = Field(description='"passed", "noted" (somebody should know), or "failed" (the bundle is not taken)')
    says: str


class InspectionAnswer(BaseModel):
    """What the sandbox saw of a bundle."""

    passed: bool
    checks: list[CheckAnswer]
    details: dict[str, Any] = Field(
        description="about, archive (files, bytes, SHA-256), pipeline, derived, networks (sizes, parameters, what they "
        "see, milliseconds), not_used (files and keys that nobody reads here), sandbox (which bars held)"
    )


class ReportAnswer(BaseModel):
    """What was found of a version."""

    name: str
    version: int
    state: str = Field(description='"queued", "running", "ended" or "failed"; the inspection is there in every state')
    progress: Progress
    inspection: InspectionAnswer | None = Field(description="null = nobody has looked through it yet")
    benchmark: dict[str, Any] = Field(
        description="Dice per structure with its least case, beside the champion's on the same cases but those that "
        "one of the two has learnt from (`left_out`: how many); cases and patients; whether it may have learnt from "
        "them; empty = not measured"
    )
    dataset_digest: str = Field(description="of the dataset whose validation split judges; empty = there is none")
    message: str
    reason: str = Field(description="why it failed; empty otherwise")
    actor: str
    created_at: str
    finished_at: str


@router.post(
    "/{name}/versions/{version}/report", status_code=202, summary="Have a version looked through and judged, again"
)
async def ask_report(
    name: ModelInPath,
    version: VersionInPath,
    body: ReportBody,
    admin: Admin,
    desk: DeskHere,
    request: Request,
    response: Response,
) -> ReportAnswer:
    """202 after its row is committed; what has ended on the same patients is answered as it is."""
    asked = pb.AskReportRequest(name=name, version=version, actor=admin.subject)
    if found := await judging(admin, body.project, desk):
        asked.project.CopyFrom(found)
    answer = await desk.rooms["training"].ask("AskReport", asked, timeout_s=FREEZING_TIMEOUT_S)
    made(request, version=version)
    response.headers["Location"] = desk.address("models", name, "versions", version, "report")
    return report_answer(answer.report)


@router.get("/{name}/versions/{version}/report", summary="What was found of a version")
async def get_report(name: ModelInPath, version: VersionInPath, identity: Visitor, desk: DeskHere) -> ReportAnswer:
    """Its bundle's inspection, and how good it is on patients kept out; or how far that is."""
    asked = pb.GetReportRequest(name=name, version=version)
    return report_answer((await desk.rooms["training"].ask("GetReport", asked)).report)


async def judging(admin: Identity, project: str, desk: Desk) -> types_pb2.ProjectRef | None:
    """The project whose masks shall judge, entered on the administrator's behalf; None = none is named."""
    if not project:
        return None
    found, member = await desk.enter(admin, project)
    act_as(Caller(subject=admin.subject, project=found.id, roles=member.roles | {ADMIN_ROLE}))
    return Inside(admin, found, member, desk).ref


def inspection_answer(inspection: str) -> InspectionAnswer:
    """What the API says of it."""
    document = read_json(inspection)
    passed, checks = bool(document.pop("passed", False)), document.pop("checks", [])
    return InspectionAnswer(passed=passed, checks=[CheckAnswer(**check) for check in checks], details=document)


def report_answer(report: pb.ModelReport) -> ReportAnswer:
    """What the API says of it."""
    return ReportAnswer(
        name=report.model.name,
        version=report.model.version,
        state=report.state,
        progress=progress_of(report.progress),
        inspection=inspection_answer(report.inspection) if report.inspection else None,
        benchmark=read_json(report.benchmark),
        dataset_digest=report.dataset_digest,
        message=report.message,
        reason=report.reason,
        actor=report.actor,
        created_at=report.created_at,
        finished_at=report.finished_at,
    )
