"""/models/{name}/serving and /models/loaded: which version answers, and what is loaded."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from irp.inference.v1 import serving_service_pb2 as pb
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.versions import VersionInPath, version_of
from irp_gateway.adapters.visitor import Admin, ModelInPath, Visitor
from irp_gateway.domain.errors import VersionNotAgreed

router = APIRouter(prefix="/api/v1/models", tags=["models"], route_class=Door)

LOAD_TIMEOUT_S = 300.0
Version = Annotated[int, Field(ge=1, le=1_000_000_000)]


class ShareBody(BaseModel):
    """A version and the part of the series that it gets."""

    model_config = ConfigDict(extra="forbid")

    version: Version
    percent: float = Field(gt=0, le=100, description="of the series, by a hash of their UID", examples=[10])


class ServingBody(BaseModel):
    """Which version answers."""

    model_config = ConfigDict(extra="forbid")

    pin: Version | None = Field(None, description="this version answers, whatever is promoted")
    canary: ShareBody | None = Field(None, description="this version answers for some series")
    shadow: ShareBody | None = Field(None, description="this version computes some answers too, for comparison only")


class StructureAnswer(BaseModel):
    """How a shadow agrees with what was answered, for one structure."""

    structure: str
    answers: int
    mean_dice: float
    least_dice: float


class ComparisonAnswer(BaseModel):
    """A shadow beside the version that answered."""

    served: int
    shadow: int
    answers: int
    failures: int
    structures: list[StructureAnswer]


class ServingAnswer(ServingBody):
    """Which version answers, and what came of it in the replica that was asked."""

    name: str
    champion: int
    revision: int = Field(description="0 = nothing was ever said")
    answers: dict[int, int] = Field(description="answers by version since the replica began")
    canary_failures: int = Field(
        description="how often the pin, or else the champion, was asked in place of a canary that failed"
    )
    comparisons: list[ComparisonAnswer]


class VersionAnswer(BaseModel):
    """A version as the replica that was asked has it."""

    name: str
    version: int
    digest: str
    state: str = Field(examples=["ready"], description="loading, ready, failed or unloaded")
    reason: str = Field(description="why it failed; see /problems")
    role: str = Field(description="champion, pinned, canary, shadow, kept or empty")
    engine: str
    device: str
    precision: str
    precision_note: str = Field(description="why it is not the precision that was asked for; empty = it is")
    memory_bytes: int
    users: int = Field(description="requests that hold it now")
    prompts: list[str] = Field(description="kinds of marks that it takes, and needs; empty = it takes none")


@router.get("/loaded", summary="Versions that the classification server has loaded, or failed to load")
async def loaded(identity: Visitor, desk: DeskHere) -> list[VersionAnswer]:
    """Of the replica that was asked."""
    answer = await desk.rooms["inference"].ask("ListVersions", pb.ListVersionsRequest())
    return [_version(status) for status in answer.versions]


@router.get("/{name}/serving", summary="Which version of a model answers")
async def get_serving(name: ModelInPath, identity: Visitor, desk: DeskHere) -> ServingAnswer:
    """With the canary's and the shadow's figures."""
    answer = await desk.rooms["inference"].ask("GetServing", pb.GetServingRequest(name=name))
    return ServingAnswer(
        name=name,
        champion=answer.champion,
        revision=answer.revision,
        answers=dict(answer.answers),
        canary_failures=answer.canary_failures,
        comparisons=[_comparison(comparison) for comparison in answer.comparisons],
        **_body(answer.serving).model_dump(),
    )


@router.put("/{name}/serving", summary="Say which version of a model answers")
async def put_serving(
    name: ModelInPath, body: ServingBody, admin: Admin, desk: DeskHere, request: Request
) -> ServingAnswer:
    """Every replica follows, between two requests.

    Where two persons have to agree (`approvals`), pin and canary take versions that were the champion once; a shadow
    answers nobody, and may be any version.
    """
    await _require_agreed(name, body, desk)
    await _configure(name, body, admin.subject, desk, request)
    return await get_serving(name, admin, desk)


@router.delete("/{name}/serving", status_code=204, summary="Let the champion answer alone")
async def reset_serving(name: ModelInPath, admin: Admin, desk: DeskHere, request: Request) -> Response:
    """No pin, no canary, no shadow."""
    await _configure(name, ServingBody(), admin.subject, desk, request)
    return Response(status_code=204)


@router.post("/{name}/versions/{version}/load", summary="Load a version and keep it")
async def load(name: ModelInPath, version: VersionInPath, admin: Admin, desk: DeskHere) -> VersionAnswer:
    """Answered when it is warm; tried anew if it had failed or was parked."""
    asked = pb.LoadModelRequest(name=name, version=version)
    answer = await desk.rooms["inference"].ask("LoadModel", asked, timeout_s=LOAD_TIMEOUT_S)
    return _version(answer.status)


@router.post("/{name}/versions/{version}/unload", status_code=204, summary="Let go of a version")
async def unload(name: ModelInPath, version: VersionInPath, admin: Admin, desk: DeskHere) -> Response:
    """Its last user finishes first. A version that serves is loaded again when it is asked for."""
    await desk.rooms["inference"].ask("UnloadModel", pb.UnloadModelRequest(name=name, version=version))
    return Response(status_code=204)


async def _require_agreed(name: str, body: ServingBody, desk: DeskHere) -> None:
    """Raise VersionNotAgreed if readers would get answers that a second person has not agreed to."""
    answering = {version for version in (body.pin, body.canary and body.canary.version) if version}
    for version in sorted(answering):
        if (await version_of(desk, name, version)).unagreed:
            raise VersionNotAgreed(model=name, version=version)


async def _configure(name: str, body: ServingBody, actor: str, desk: DeskHere, request: Request) -> None:
    serving = pb.Serving(pin=body.pin or 0, canary=_share(body.canary), shadow=_share(body.shadow))
    asked = pb.ConfigureServingRequest(name=name, serving=serving, actor=actor)
    answer = await desk.rooms["inference"].ask("ConfigureServing", asked)
    made(request, revision=answer.revision)


def _share(share: ShareBody | None) -> pb.Share | None:
    return pb.Share(version=share.version, percent=share.percent) if share else None


def _body(serving: pb.Serving) -> ServingBody:
    shares: dict[str, Any] = {
        role: ShareBody(version=share.version, percent=share.percent)
        for role in ("canary", "shadow")
        if serving.HasField(role) and (share := getattr(serving, role))
    }
    return ServingBody(pin=serving.pin or None, **shares)


def _comparison(comparison: pb.Comparison) -> ComparisonAnswer:
    return ComparisonAnswer(
        served=comparison.served,
        shadow=comparison.shadow,
        answers=comparison.answers,
        failures=comparison.failures,
        structures=[
            StructureAnswer(
                structure=found.structure,
                answers=found.answers,
                mean_dice=round(found.mean_dice, 4),
                least_dice=round(found.least_dice, 4),
            )
            for found in comparison.structures
        ],
    )


def _version(status: pb.VersionStatus) -> VersionAnswer:
    return VersionAnswer(
        name=status.model.name,
        version=status.model.version,
        digest=status.model.digest,
        state=status.state,
        reason=status.reason,
        role=status.role,
        engine=status.engine,
        device=status.device,
        precision=status.precision,
        precision_note=status.precision_note,
        memory_bytes=status.memory_bytes,
        users=status.users,
        prompts=list(status.prompts),
    )
