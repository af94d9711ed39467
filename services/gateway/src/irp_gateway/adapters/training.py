"""/training/runs: learn from accepted masks, and watch it."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from irp.training.v1 import training_service_pb2 as pb
from irp_chassis.verdicts import advice_of
from irp_kernel.errors import IrpError
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.answers import (
    ModelName,
    Page,
    Paging,
    Progress,
    model_name,
    page,
    page_of,
    progress_of,
    read_json,
)
from irp_gateway.adapters.datasets import rules_of
from irp_gateway.adapters.door import Door, made
from irp_gateway.adapters.events import Event
from irp_gateway.adapters.listening import tell
from irp_gateway.adapters.visitor import Annotator, AnyMember, IdInPath, Inside
from irp_gateway.domain.automation import Inclusion
from irp_gateway.domain.cursor import from_cursor
from irp_gateway.domain.naming import MODEL_OR_NONE

router = APIRouter(prefix="/api/v1/projects/{project}/training/runs", tags=["training"], route_class=Door)

WATCH_TIMEOUT_S = 24 * 3600.0


class RunBody(BaseModel):
    """A training run to start."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(examples=["cine"], description="name that the new version belongs to")
    base: str = Field(
        "",
        pattern=MODEL_OR_NONE,
        examples=["cine", "cine@1", "cine@champion"],
        description="where to start from; empty = from scratch",
    )
    recipe: dict[str, Any] = Field(
        {},
        description=(
            'keys that differ from the room\'s defaults; `"configure": "fingerprint"` lets the training cases choose '
            'window, spacing, patch, network, batch and intensities, `"dimensions": 3` learns from stacks of slices'
        ),
        examples=[{"segment_epochs": 4}, {"dimensions": 3}],
    )
    sequence_classes: list[str] = Field([], examples=[["cine-sax"]], description="empty = all")
    include: Inclusion = Field(Inclusion(), description="which accepted masks count, where they are frozen now")
    dataset: str = Field(
        "",
        pattern=r"^([0-9a-f]{8,64})?$",
        description="learn from this frozen dataset (its digest, or how it begins); empty = freeze now",
    )
    promote: bool = Field(
        True,
        description="promote by itself when the gate allows; it waits for an administrator where the champion was not "
        "made by a run of this project and no administrator started this one, or where nobody was judged",
    )
    priority: int = Field(
        0, ge=-100, le=100, description="of the runs that wait, the highest begins first; above 0: owners only"
    )
    request_id: str = Field("", max_length=128, description="the same id is the same run; empty = a new one")


class PriorityBody(BaseModel):
    """Where a waiting run stands."""

    model_config = ConfigDict(extra="forbid")

    priority: int = Field(ge=-100, le=100, description="the highest begins first; above 0: owners only")


class DatasetAnswer(BaseModel):
    """The immutable snapshot that a run learns from: number of patients' series in each split."""

    digest: str
    training: int
    validation: int
    test: int


class MetricPoint(BaseModel):
    """One point of one curve."""

    epoch: int
    name: str = Field(examples=["loss", "val_dice_lv_myocardium"])
    value: float | None


class RunAnswer(BaseModel):
    """One training run."""

    id: str
    state: str = Field(description='"queued", "running", "succeeded", "failed" or "cancelled"')
    progress: Progress
    model: str
    base: ModelName | None
    result: ModelName | None
    dataset: DatasetAnswer | None
    reason: str = Field(description="why it failed; empty otherwise")
    message: str
    metrics: list[MetricPoint]
    gate: dict[str, Any] = Field(description="the gate's verdict: per structure candidate, champion, difference")
    promoted: bool
    recipe: dict[str, Any]
    configured: dict[str, Any] = Field(
        description="what the training cases chose: `chosen` by key, `reasons` in words, their `fingerprint`; "
        "empty unless the recipe says `configure` fingerprint"
    )
    cases: Any = Field(description="validation Dice per case, before and after")
    created_at: str
    finished_at: str
    priority: int = Field(description="-100 to 100: of the runs that wait, the highest begins first, then the oldest")
    ahead: int = Field(description="runs of all projects that work, or will begin before this one; 0 once it has begun")
    spent_s: float = Field(description="seconds that processes worked on it, over all attempts")
    cost: float = Field(description="of these seconds, at the price when the run began; 0 where there is no price")
    currency: str = Field(description="of the cost; empty where there is no price")


@router.post("", status_code=202, summary="Start a run")
async def start(request: Request, body: RunBody, here: Annotator, response: Response) -> RunAnswer:
    """202 after the run's row is committed; watch it at Location, or at its `events`."""
    asked = pb.StartRunRequest(
        project=here.ref,
        model=body.model,
        base=body.base,
        recipe=json.dumps(body.recipe),
        actor=here.subject,
        request_id=body.request_id or uuid.uuid4().hex,
        sequence_classes=body.sequence_classes,
        rules=rules_of(body.include),
        dataset_digest=body.dataset,
        promote=body.promote,
        priority=body.priority,
    )
    run = run_answer((await here.ask("training", "StartRun", asked)).run)
    made(request, run=run.id)
    response.headers["Location"] = here.address("training", "runs", run.id)
    return run


@router.get("", summary="Every run of the project")
async def list_runs(here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[RunAnswer]:
    """Newest last."""
    asked = pb.ListRunsRequest(project=here.ref, after=from_cursor(paging.cursor), limit=paging.limit)
    answer = await here.ask("training", "ListRuns", asked)
    return page_of([run_answer(run) for run in answer.runs], answer.next)


@router.get("/{id}", summary="One run: state, progress, gate, result")
async def get_run(id: IdInPath, here: AnyMember) -> RunAnswer:
    """Progress has a fraction and an ETA in seconds."""
    return run_answer(await _run(here, id))


@router.get("/{id}/metrics", summary="The curves of a run")
async def metrics(id: IdInPath, here: AnyMember, paging: Annotated[Paging, Query()]) -> Page[MetricPoint]:
    """Every point so far."""
    return page(run_answer(await _run(here, id)).metrics, paging.cursor, paging.limit)


@router.get(
    "/{id}/events",
    summary="Watch a run (server-sent events)",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(request: Request, id: IdInPath, here: AnyMember) -> StreamingResponse:
    """One `run` event per change, until the run ends; a `problem` event when the training server goes away."""
    await _run(here, id)
    return tell(request, here, _watch(here, id))


@router.post("/{id}/cancel", summary="Cancel a run")
async def cancel(id: IdInPath, here: Annotator) -> RunAnswer:
    """What it learnt is discarded."""
    return run_answer((await here.ask("training", "CancelRun", pb.CancelRunRequest(project=here.ref, run_id=id))).run)


@router.put("/{id}/priority", summary="Move a waiting run in the queue")
async def prioritise(id: IdInPath, body: PriorityBody, here: Annotator) -> RunAnswer:
    """A run that works is never interrupted for another; one that has begun keeps its place."""
    asked = pb.PrioritiseRunRequest(project=here.ref, run_id=id, priority=body.priority)
    return run_answer((await here.ask("training", "PrioritiseRun", asked)).run)


async def _run(here: Inside, id: str) -> pb.Run:
    run: pb.Run = (await here.ask("training", "GetRun", pb.GetRunRequest(project=here.ref, run_id=id))).run
    return run


async def _watch(here: Inside, id: str) -> AsyncIterator[Event]:
    asked, number = pb.WatchRunRequest(project=here.ref, run_id=id), 0
    try:
        async for answer in here.stream("training", "WatchRun", asked, timeout_s=WATCH_TIMEOUT_S):
            number += 1
            yield "run", str(number), run_answer(answer.run).model_dump(mode="json")
    except IrpError as error:
        problem = {"reason": error.reason, "detail": error.message, "advice": advice_of(error)}
        yield "problem", str(number + 1), problem


def run_answer(run: pb.Run) -> RunAnswer:
    """What the API says of a run."""
    dataset = run.dataset if run.HasField("dataset") else None
    counts = dataset and DatasetAnswer(
        digest=dataset.digest, training=dataset.training, validation=dataset.validation, test=dataset.test
    )
    return RunAnswer(
        id=run.id,
        state=run.state,
        progress=progress_of(run.progress),
        model=run.model,
        base=model_name(run.base),
        result=model_name(run.result),
        dataset=counts,
        reason=run.reason,
        message=run.message,
        metrics=[MetricPoint(epoch=m.epoch, name=m.name, value=m.value) for m in run.metrics],
        gate=read_json(run.gate),
        promoted=run.promoted,
        recipe=read_json(run.recipe),
        configured=read_json(run.configured),
        cases=read_json(run.cases),
        created_at=run.created_at,
        finished_at=run.finished_at,
        priority=run.priority,
        ahead=run.ahead,
        spent_s=run.spent_s,
        cost=run.cost,
        currency=run.currency,
    )
