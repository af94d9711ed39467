"""/training/runs and /models: learn, watch, register, promote, roll back."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from irp.training.v1 import training_service_pb2 as pb
from irp_kernel.errors import IrpError
from pydantic import BaseModel, ConfigDict, Field

from irp_gateway.adapters.series import to_dict
from irp_gateway.adapters.visitor import Admin, Annotator, AnyMember, DeskHere, Inside, Visitor, read_body

runs = APIRouter(prefix="/api/v1/projects/{project}/training/runs", tags=["training"])
models = APIRouter(prefix="/api/v1/models", tags=["models"])

PIECE = 1 << 20
WATCH_TIMEOUT_S = 24 * 3600.0


class RunBody(BaseModel):
    """A training run to start."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(examples=["cine"], description="name that the new version belongs to")
    base: str = Field("", examples=["cine", "cine@1"], description="where to start from; empty = from scratch")
    recipe: dict[str, Any] = Field({}, description="keys that differ from the room's defaults")
    sequence_classes: list[str] = Field([], examples=[["cine-sax"]])
    promote: bool = Field(True, description="promote by itself when the gate allows")
    request_id: str = Field("", description="the same id is the same run; empty = a new one")


@runs.post("", status_code=202, summary="Start a run")
async def start(body: RunBody, here: Annotator, response: Response) -> dict[str, Any]:
    """202 after the run's row is committed; watch it at Location."""
    asked = pb.StartRunRequest(
        project=here.ref,
        model=body.model,
        base=body.base,
        recipe=json.dumps(body.recipe),
        actor=here.identity.subject,
        request_id=body.request_id or uuid.uuid4().hex,
        sequence_classes=body.sequence_classes,
        promote=body.promote,
    )
    run = run_answer((await here.ask("training", "StartRun", asked)).run)
    response.headers["Location"] = _address(here, run["id"])
    await here.note("run.start", run["id"], 202)
    return run


@runs.get("", summary="Every run of the project")
async def list_runs(here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """Newest last."""
    answer = await here.ask("training", "ListRuns", pb.ListRunsRequest(project=here.ref))
    return {"items": [run_answer(run) for run in answer.runs]}


@runs.get("/{id}", summary="One run: state, progress, gate, result")
async def get_run(id: str, here: AnyMember) -> dict[str, Any]:
    """Progress has a fraction and an ETA in seconds."""
    return run_answer(await _run(here, id))


@runs.get("/{id}/metrics", summary="The curves of a run")
async def metrics(id: str, here: AnyMember) -> dict[str, list[dict[str, Any]]]:
    """Every point so far."""
    run = await _run(here, id)
    return {"items": [{"epoch": m.epoch, "name": m.name, "value": m.value} for m in run.metrics]}


@runs.get("/{id}/events", summary="Watch a run (server-sent events)", response_class=StreamingResponse)
async def events(id: str, here: AnyMember) -> StreamingResponse:
    """One `run` event per change, until the run ends."""
    await _run(here, id)
    return StreamingResponse(_watch(here, id), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@runs.post("/{id}/cancel", summary="Cancel a run")
async def cancel(id: str, here: Annotator) -> dict[str, Any]:
    """What it learnt is discarded."""
    answer = await here.ask("training", "CancelRun", pb.CancelRunRequest(project=here.ref, run_id=id))
    await here.note("run.cancel", id)
    return run_answer(answer.run)


@models.get("", summary="Models of the registry")
async def list_models(identity: Visitor, desk: DeskHere, name: str = "") -> dict[str, list[dict[str, Any]]]:
    """Every version, with its licence and the champion marked."""
    answer = await desk.rooms["training"].ask("ListModels", pb.ListModelsRequest(name=name))
    return {"items": [model_answer(model) for model in answer.models]}


@models.post("/{name}/versions", status_code=201, summary="Push a model (MONAI bundle as ZIP)")
async def push(name: str, request: Request, admin: Admin, desk: DeskHere, response: Response) -> dict[str, Any]:
    """Checked without executing anything; the first version of a model becomes its champion."""
    data = await read_body(request, desk.max_body_bytes)

    async def pieces() -> AsyncIterator[pb.RegisterModelRequest]:
        header = pb.RegisterModelHeader(name=name, actor=admin.subject, promote_if_first=True)
        yield pb.RegisterModelRequest(header=header)
        for at in range(0, len(data), PIECE):
            yield pb.RegisterModelRequest(data=data[at : at + PIECE])

    answer = await desk.rooms["training"].ask("RegisterModel", pieces(), timeout_s=300)
    model = model_answer(answer.model)
    response.headers["Location"] = f"{desk.public_url}/api/v1/models?name={name}"
    await _note(desk, admin.subject, "model.push", f"{name}@{model['version']}", 201)
    return model


@models.post("/{name}/versions/{version}/promote", summary="Make a version the champion, if the gate allows")
async def promote(name: str, version: int, admin: Admin, desk: DeskHere) -> dict[str, Any]:
    """Refused when it is worse than the champion on the frozen validation set."""
    asked = pb.PromoteRequest(name=name, version=version, actor=admin.subject)
    answer = await desk.rooms["training"].ask("Promote", asked, timeout_s=300)
    await _note(desk, admin.subject, "model.promote", f"{name}@{version}")
    return {**model_answer(answer.model), "gate": json.loads(answer.gate or "{}")}


@models.post("/{name}/rollback", summary="Make the previous champion the champion again")
async def rollback(name: str, admin: Admin, desk: DeskHere) -> dict[str, Any]:
    """One call; the classification server follows without a failed request."""
    answer = await desk.rooms["training"].ask("Rollback", pb.RollbackRequest(name=name, actor=admin.subject))
    await _note(desk, admin.subject, "model.rollback", name)
    return model_answer(answer.model)


async def _note(desk: Annotated[Any, None], subject: str, action: str, target: str, status: int = 200) -> None:
    await desk.audit.write(subject=subject, project="", action=action, target=target, status=status)


async def _run(here: Inside, id: str) -> pb.Run:
    run: pb.Run = (await here.ask("training", "GetRun", pb.GetRunRequest(project=here.ref, run_id=id))).run
    return run


async def _watch(here: Inside, id: str) -> AsyncIterator[str]:
    line = here.desk.rooms["training"]
    asked = pb.WatchRunRequest(project=here.ref, run_id=id)
    try:
        async for answer in line.client.stream(line.stub.WatchRun, asked, timeout_s=WATCH_TIMEOUT_S):
            yield f"event: run\ndata: {json.dumps(run_answer(answer.run))}\n\n"
    except IrpError as error:
        yield f"event: problem\ndata: {json.dumps({'reason': error.reason, 'detail': error.message})}\n\n"
    except asyncio.CancelledError:
        return


def _address(here: Inside, id: str) -> str:
    return f"{here.desk.public_url}/api/v1/projects/{here.project.id}/training/runs/{id}"


def run_answer(run: pb.Run) -> dict[str, Any]:
    """What the API says of a run."""
    found = to_dict(run)
    for name in ("gate", "recipe", "cases"):
        found[name] = json.loads(found[name] or "{}")
    for name in ("base", "result"):
        ref = getattr(run, name)
        found[name] = {"name": ref.name, "version": ref.version, "digest": ref.digest} if ref.name else None
    if run.HasField("dataset"):
        found["dataset"].pop("manifest", None)
    return found


def model_answer(model: pb.Model) -> dict[str, Any]:
    """What the API says of a model version."""
    return {
        "name": model.ref.name,
        "version": model.ref.version,
        "digest": model.ref.digest,
        "champion": model.champion,
        "created_at": model.created_at,
        "actor": model.actor,
        "run_id": model.run_id,
        "dataset_digest": model.dataset_digest,
        "licence": model.licence,
        "structures": list(model.structures),
        "figures": json.loads(model.figures or "{}"),
        "bundle_bytes": model.bundle.size,
    }
