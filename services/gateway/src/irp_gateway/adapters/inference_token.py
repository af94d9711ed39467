"""/inference/token: a token for the Open Inference Protocol, which other people's clients speak without the gateway."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request
from irp_chassis.auth import OIP_AUDIENCE, Caller
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.door import CHANGES_NOTHING, Door, made
from irp_gateway.adapters.visitor import Visitor
from irp_gateway.domain.roles import ADMIN

router = APIRouter(prefix="/api/v1/inference", tags=["models"], route_class=Door)


class InferenceTokenBody(BaseModel):
    """What the token is for."""

    model_config = ConfigDict(extra="forbid")

    project: str = Field("", max_length=48, description="whose turn at the networks it takes; empty = nobody's")
    hours: int = Field(1, ge=1, le=12, description="until it expires; it cannot be revoked before")


class InferenceTokenAnswer(BaseModel):
    """A token, and the two doors that take it."""

    token: str = Field(description="send it as `authorization: Bearer ...`")
    expires_at: str
    grpc_address: str = Field(description="host:port; empty = the operator did not say")
    http_address: str = Field(description="host:port; empty = the operator did not say")


@router.post(
    "/token",
    status_code=201,
    summary="A token for Triton's client (Open Inference Protocol)",
    openapi_extra=CHANGES_NOTHING,  # one of a project takes that project's turn
)
async def inference_token(
    request: Request, body: InferenceTokenBody, identity: Visitor, desk: DeskHere
) -> InferenceTokenAnswer:
    """It opens tensors in, logits out, and what is told of models; no room takes it, and no image is behind it."""
    roles = frozenset({ADMIN}) if identity.admin else frozenset()
    if project := body.project or identity.project:
        roles = (await desk.enter(identity, project))[1].roles
    lifetime = timedelta(hours=body.hours)
    expires = datetime.now(UTC) + lifetime
    who = Caller(subject=identity.subject, project=project, roles=roles)
    token = desk.minter.mint(who, audience=OIP_AUDIENCE, lifetime_s=int(lifetime.total_seconds()))
    made(request, subject=identity.subject, project=project, hours=body.hours)
    grpc_address, http_address = desk.oip_addresses
    return InferenceTokenAnswer(
        token=token,
        expires_at=expires.isoformat(timespec="seconds"),
        grpc_address=grpc_address,
        http_address=http_address,
    )
