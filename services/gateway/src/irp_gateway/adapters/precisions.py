"""/models/{name}/versions/{version}/precisions: reduced precision as a choice, and what its guard says."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from irp.training.v1 import training_service_pb2 as pb
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Progress, progress_of, read_json
from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.model_reports import FREEZING_TIMEOUT_S, judging
from irp_gateway.adapters.versions import VersionInPath
from irp_gateway.adapters.visitor import Admin, ModelInPath, Visitor

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=Door)

Precision = Literal["bfloat16", "int8"]


class PrecisionBody(BaseModel):
    """A reduced precision to try."""

    model_config = ConfigDict(extra="forbid")

    precision: Precision = Field(examples=["int8"])
    project: str = Field(
        "",
        max_length=48,
        description="judge on this project's accepted masks (split `validation`); "
        "empty = on the frozen validation set of the version's run, or else the newest of the model",
    )


class PrecisionAnswer(BaseModel):
    """A reduced precision of a version before its guard."""

    name: str
    version: int
    precision: str
    state: str = Field(description='"queued", "running", "accepted", "refused" or "failed"; only "accepted" may serve')
    progress: Progress
    dataset_digest: str = Field(description="of the dataset whose validation split judges")
    message: str
    reason: str = Field(description="why it failed; empty otherwise")
    speedup: float = Field(description="seconds of a pass in float32 over those at this precision; 0 = not measured")
    report: dict[str, Any] = Field(
        description="margin, what was tried with Dice per structure (float32, reduced, mean difference, worst), "
        "speed, calibration, processor"
    )
    artefact_bytes: int = Field(description="of the networks that were accepted; 0 = there are none of its own")
    actor: str
    created_at: str
    finished_at: str


@router.post("/{name}/versions/{version}/precisions", status_code=202, summary="Try a reduced precision of a version")
async def try_precision(
    name: ModelInPath,
    version: VersionInPath,
    body: PrecisionBody,
    admin: Admin,
    desk: DeskHere,
    request: Request,
    response: Response,
) -> PrecisionAnswer:
    """202 after its row is committed; watch it at Location. Accepted if no structure loses more than 0.002 Dice."""
    asked = pb.GuardPrecisionRequest(name=name, version=version, precision=body.precision, actor=admin.subject)
    if found := await judging(admin, body.project, desk):
        asked.project.CopyFrom(found)
    answer = await desk.rooms["training"].ask("GuardPrecision", asked, timeout_s=FREEZING_TIMEOUT_S)
    made(request, version=version, precision=body.precision)
    response.headers["Location"] = desk.address("models", name, "versions", version, "precisions", body.precision)
    return precision_answer(answer.trial)


@router.get("/{name}/versions/{version}/precisions/{precision}", summary="How a reduced precision was judged")
async def get_precision(
    name: ModelInPath, version: VersionInPath, precision: Precision, identity: Visitor, desk: DeskHere
) -> PrecisionAnswer:
    """Or how far that is."""
    asked = pb.GetPrecisionRequest(name=name, version=version, precision=precision)
    return precision_answer((await desk.rooms["training"].ask("GetPrecision", asked)).trial)


def precision_answer(trial: pb.PrecisionTrial) -> PrecisionAnswer:
    """What the API says of it."""
    return PrecisionAnswer(
        name=trial.model.name,
        version=trial.model.version,
        precision=trial.precision,
        state=trial.state,
        progress=progress_of(trial.progress),
        dataset_digest=trial.dataset_digest,
        message=trial.message,
        reason=trial.reason,
        speedup=trial.speedup,
        report=read_json(trial.report),
        artefact_bytes=trial.artefact.size,
        actor=trial.actor,
        created_at=trial.created_at,
        finished_at=trial.finished_at,
    )
