"""/containers and /container-runs: algorithms that keep the contract of Grand Challenge, and what they propose."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from irp.training.v1 import container_service_pb2 as pb
from irp_kernel.ids import BadIdentifier, split_model
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import Page, Paging, Progress, page, page_of, progress_of, read_json
from irp_gateway.adapters.container_upload import pieces_of
from irp_gateway.adapters.desk import DeskHere
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.series import series_state
from irp_gateway.adapters.visitor import Admin, Annotator, AnyMember, IdInPath, ModelInPath, Visitor
from irp_gateway.domain.cursor import from_cursor
from irp_gateway.domain.errors import SeriesNotAssembled

router = APIRouter(prefix="/api/v1", tags=["containers"], route_class=Door)

PUSH_TIMEOUT_S = 2 * 3600.0  # for 10 GB over a slow line
Version = Annotated[int, Field(ge=1, le=1_000_000_000)]
FORM: dict[str, Any] = {
    "type": "object",
    "required": ["sockets", "archive"],
    "properties": {
        "sockets": {
            "type": "string",
            "description": "JSON: inputs, outputs, labels, frames, limits; docs/how-to/challenge-containers.md",
        },
        "reference": {
            "type": "string",
            "description": "where a cluster pulls the same image from: `registry/name@sha256:...`; "
            "empty = it runs on one machine only",
        },
        "licence": {"type": "string"},
        "model": {
            "type": "string",
            "format": "binary",
            "description": "weights as a tar archive, which it finds in /opt/ml/model; absent = it brings its own",
        },
        "archive": {
            "type": "string",
            "format": "binary",
            "description": "what `docker save` or `podman save --format oci-archive` writes; the last field",
        },
    },
}
UPLOAD: dict[str, Any] = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}


class ContainerAnswer(BaseModel):
    """One version of a container."""

    name: str
    version: int
    digest: str = Field(description="SHA-256 over the image and its declaration")
    image: str = Field(description="SHA-256 of the image's configuration: the runtime's image id")
    archive_bytes: int
    model_bytes: int = Field(description="of the archive of its weights; 0 = it brings its own")
    sockets: dict[str, Any] = Field(description="the declaration: inputs, outputs, labels, frames, limits")
    reference: str = Field(description="where a cluster pulls it from; empty = one machine only")
    licence: str
    state: str = Field(description='"queued", "running", "accepted", "refused" or "failed"; only "accepted" runs')
    progress: Progress
    report: dict[str, Any] = Field(description="of the conformance test: checks, runtime, exit codes, seconds")
    reason: str = Field(description="why the test could not be done; empty otherwise")
    message: str
    actor: str
    created_at: str
    finished_at: str
    promoted_at: str = Field(description="when it was last made the one that its bare name means; empty = never")
    promoted_by: str


class RunBody(BaseModel):
    """A container to run on a series."""

    model_config = ConfigDict(extra="forbid")

    container: str = Field(
        max_length=64, examples=["heart", "heart@2"], description="without version: its champion, else the newest"
    )
    series: str = Field(pattern=r"^[0-9.]{1,64}$", description="SeriesInstanceUID, de-identified")


class ContainerRunAnswer(BaseModel):
    """One container on one series."""

    id: str
    container: str = Field(examples=["heart@2"])
    series: str
    state: str = Field(description='"queued", "running", "succeeded" or "failed"')
    progress: Progress
    values: list[dict[str, Any]] = Field(description="further outputs by socket: one object per run of the container")
    ended_with: dict[str, Any] = Field(description="exit code, seconds, runtime, number of runs")
    said: str = Field(description="last line of its standard error")
    reason: str = Field(description="why it failed; empty otherwise")
    message: str
    actor: str
    created_at: str
    finished_at: str


@router.post("/containers/{name}/versions", status_code=202, summary="Push a container", openapi_extra=UPLOAD)
async def push_container(
    name: ModelInPath, request: Request, admin: Admin, desk: DeskHere, response: Response
) -> ContainerAnswer:
    """202 after its row is committed; its conformance test on a phantom follows: watch it at Location."""
    pieces = pieces_of(request, name, admin.subject, desk.limits.container)
    answer = await desk.rooms["training"].ask("PushContainer", pieces, timeout_s=PUSH_TIMEOUT_S)
    container = container_answer(answer.container)
    made(request, version=container.version)
    response.headers["Location"] = desk.address("containers", name, "versions", container.version)
    return container


@router.get("/containers", summary="Containers of the registry")
async def list_containers(
    identity: Visitor, desk: DeskHere, paging: Annotated[Paging, Query()], name: str = ""
) -> Page[ContainerAnswer]:
    """Every version, with the report of its conformance test."""
    answer = await desk.rooms["training"].ask("ListContainers", pb.ListContainersRequest(name=name))
    return page([container_answer(one) for one in answer.containers], paging.cursor, paging.limit)


@router.get("/containers/{name}/versions/{version}", summary="One version, and whether it conforms")
async def get_container(name: ModelInPath, version: Version, identity: Visitor, desk: DeskHere) -> ContainerAnswer:
    """Or how far its test is."""
    asked = pb.GetContainerRequest(name=name, version=version)
    return container_answer((await desk.rooms["training"].ask("GetContainer", asked)).container)


@router.post("/containers/{name}/versions/{version}/promote", summary="Make a version the one that its name means")
async def promote_container(
    name: ModelInPath, version: Version, admin: Admin, desk: DeskHere, request: Request
) -> ContainerAnswer:
    """Runs that name no version take it, and so does `automation.containers`. Only an accepted version; no gate."""
    asked = pb.PromoteContainerRequest(name=name, version=version, actor=admin.subject)
    answer = await desk.rooms["training"].ask("PromoteContainer", asked)
    made(request, version=version)
    return container_answer(answer.container)


@router.post("/projects/{project}/container-runs", status_code=202, summary="Let a container segment a series")
async def run_container(request: Request, body: RunBody, here: Annotator, response: Response) -> ContainerRunAnswer:
    """202 after the run is committed; its mask appears among the series' segmentations as a proposal."""
    name, version = split_model(body.container)
    if isinstance(version, str):  # the bare name is the champion
        raise BadIdentifier(kind="container version", length=len(version))
    state = await series_state(here, body.series)
    if state.state != "assembled":
        raise SeriesNotAssembled(f"the series is {state.state} {state.reason}".strip())
    asked = pb.RunContainerRequest(
        project=here.ref,
        name=name,
        version=version or 0,
        series=state.series,
        volume_version=state.version,
        actor=here.subject,
    )
    run = run_answer((await here.ask("training", "RunContainer", asked)).run)
    made(request, run=run.id, container=run.container)
    response.headers["Location"] = here.address("container-runs", run.id)
    return run


@router.get("/projects/{project}/container-runs", summary="Runs of containers")
async def list_container_runs(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[ContainerRunAnswer]:
    """Newest last."""
    asked = pb.ListContainerRunsRequest(project=here.ref, after=from_cursor(paging.cursor), limit=paging.limit)
    answer = await here.ask("training", "ListContainerRuns", asked)
    items = [run_answer(run) for run in answer.runs]
    return page_of(items, answer.next)


@router.get("/projects/{project}/container-runs/{id}", summary="One run of a container")
async def get_container_run(id: IdInPath, here: AnyMember) -> ContainerRunAnswer:
    """How far it is, or how it ended."""
    asked = pb.GetContainerRunRequest(project=here.ref, run_id=id)
    return run_answer((await here.ask("training", "GetContainerRun", asked)).run)


def container_answer(container: pb.Container) -> ContainerAnswer:
    """What the API says of a version."""
    return ContainerAnswer(
        name=container.ref.name,
        version=container.ref.version,
        digest=container.ref.digest,
        image=container.image,
        archive_bytes=container.archive.size,
        model_bytes=container.model.size,
        sockets=read_json(container.sockets),
        reference=container.reference,
        licence=container.licence,
        state=container.state,
        progress=progress_of(container.progress),
        report=read_json(container.report),
        reason=container.reason,
        message=container.message,
        actor=container.actor,
        created_at=container.created_at,
        finished_at=container.finished_at,
        promoted_at=container.promoted_at,
        promoted_by=container.promoted_by,
    )


def run_answer(run: pb.ContainerRun) -> ContainerRunAnswer:
    """What the API says of a run."""
    return ContainerRunAnswer(
        id=run.id,
        container=f"{run.container.name}@{run.container.version}",
        series=run.series_uid,
        state=run.state,
        progress=progress_of(run.progress),
        values=read_json(run.values) or [],
        ended_with=read_json(run.ended_with),
        said=run.said,
        reason=run.reason,
        message=run.message,
        actor=run.actor,
        created_at=run.created_at,
        finished_at=run.finished_at,
    )
