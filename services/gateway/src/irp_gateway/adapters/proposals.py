"""/proposals: how far the segmentation of a whole series is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import StreamingResponse
from irp.inference.v1 import inference_service_pb2 as pb
from irp_chassis.verdicts import advice_of
from irp_kernel.errors import IrpError
from pydantic import BaseModel, Field

from irp_gateway.adapters.answers import known
from irp_gateway.adapters.door import Door
from irp_gateway.adapters.events import Event
from irp_gateway.adapters.listening import tell
from irp_gateway.adapters.visitor import AnyMember, Inside

router = APIRouter(prefix="/api/v1/projects/{project}/proposals", tags=["segmentations"], route_class=Door)

LOOK_S = 0.5  # between two looks of a watched proposal
ENDED = frozenset({"done", "failed"})
JobInPath = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9._:@-]{1,160}$", description="as `/propose` answered it", examples=["1.2.3:1:cine"])
]


class ProposalAnswer(BaseModel):
    """A proposal on its way."""

    job_id: str
    state: str = Field(
        description='"queued", "running", "done" or "failed"; queued again after a failure that may pass'
    )
    reason: str = Field(description="why the last attempt did not succeed; empty = there was none")
    series_uid: str
    model: str
    done: int = Field(description="frames")
    total: int = Field(description="frames; 0 = not known yet")
    eta_s: float | None = Field(description="seconds to the end; null = unknown")


@router.get("/{job_id}", summary="How far a proposal is")
async def get_proposal(job_id: JobInPath, here: AnyMember) -> ProposalAnswer:
    """The mask itself is among the series' segmentations when the state is done."""
    asked = pb.GetProposalRequest(project=here.ref, job_id=f"{here.project.id}/{job_id.replace(':', '/')}")
    found = await here.ask("inference", "GetProposal", asked)
    return ProposalAnswer(
        job_id=job_id,
        state=found.state,
        reason=found.reason,
        series_uid=found.series_uid,
        model=found.model,
        done=found.done,
        total=found.total,
        eta_s=known(found.eta_s),
    )


@router.get(
    "/{job_id}/events",
    summary="The same as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def watch_proposal(request: Request, job_id: JobInPath, here: AnyMember) -> StreamingResponse:
    """One `proposal` event per change, until it is done or failed; a `problem` event when inference goes away."""
    first = await get_proposal(job_id, here)
    return tell(request, here, _watch(job_id, here, first))


def shown_id(here: Inside, key: str) -> str:
    """A job's key as people see it: without the project, and fit for a path."""
    return key.removeprefix(f"{here.project.id}/").replace("/", ":")


async def _watch(job_id: str, here: Inside, first: ProposalAnswer) -> AsyncIterator[Event]:
    said, present, number = None, first, 0
    try:
        while True:
            what = (present.state, present.done, present.reason)
            if what != said:
                said, number = what, number + 1
                yield "proposal", str(number), present.model_dump(mode="json")
            if present.state in ENDED:
                return
            await asyncio.sleep(LOOK_S)
            present = await get_proposal(job_id, here)
    except IrpError as error:
        problem = {"reason": error.reason, "detail": error.message, "advice": advice_of(error)}
        yield "problem", str(number + 1), problem
