"""What the gRPC door answers of the quarantine; only owners and curators hear of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from irp.ingest.v1 import ingest_service_pb2 as pb
from irp.ingest.v1 import ingest_service_pb2_grpc as pb_grpc
from irp_chassis.jobs import Job, JobHandler
from irp_chassis.paging import size_of
from irp_chassis.rpc import caller
from irp_chassis.workers import in_worker
from irp_kernel.errors import InvalidArgument

from irp_ingest.adapters.convert import project_from_json
from irp_ingest.adapters.quarantine import SqlQuarantine
from irp_ingest.adapters.rpc_pixels import enter
from irp_ingest.app.carry_out import CarryOut
from irp_ingest.app.decide_quarantined import DecideQuarantined, opened
from irp_ingest.app.keep_apart import Apart
from irp_ingest.app.ports import ProjectAt, SealedObjects
from irp_ingest.domain.decision import Decision, State
from irp_ingest.domain.preview import preview

DECIDERS = ("owner", "curator")
UNTOLD = {"project", "fingerprint", "candidates", "times", "object", "regions", "sop_class", "state"}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineDesk:
    """Verb, rows and objects of the quarantine."""

    decide: DecideQuarantined
    rows: SqlQuarantine
    sealed: SealedObjects


class QuarantineServicer(pb_grpc.IngestServiceServicer):
    """What waits, what it shows, and what a person decides about it."""

    _quarantine: QuarantineDesk

    async def ListQuarantine(self, request: pb.ListQuarantineRequest, context: Any) -> pb.ListQuarantineResponse:  # noqa: N802
        """Oldest first."""
        project = _enter_as_decider(request.project)
        if request.state not in {"", *State}:
            raise InvalidArgument(f"a state is one of {', '.join(State)}")
        limit = size_of(max(request.limit, 1))
        found, after = await self._quarantine.rows.page(project.id, request.state, request.after, limit)
        return pb.ListQuarantineResponse(items=[apart_to_proto(apart) for apart in found], next=after)

    async def GetQuarantined(self, request: pb.GetQuarantinedRequest, context: Any) -> pb.GetQuarantinedResponse:  # noqa: N802
        """Decrypted in memory, for the person who decides."""
        project = _enter_as_decider(request.project)
        apart = await self._quarantine.rows.find(project.id, request.id)
        answer = pb.GetQuarantinedResponse(item=apart_to_proto(apart))
        if request.preview:
            file = await opened(self._quarantine.sealed, apart)
            answer.preview, answer.media_type = await in_worker(preview, file, apart.kind, request.frame)
        return answer

    async def DecideQuarantined(  # noqa: N802
        self, request: pb.DecideQuarantinedRequest, context: Any
    ) -> pb.DecideQuarantinedResponse:
        """Durable when answered."""
        project = _enter_as_decider(request.project)
        regions = tuple((one.x, one.y, one.width, one.height) for one in request.regions)
        decision = Decision(action=request.action, regions=regions)
        apart = await self._quarantine.decide(project, request.id, decision, caller().subject)
        return pb.DecideQuarantinedResponse(item=apart_to_proto(apart))


def _enter_as_decider(message: Any) -> ProjectAt:
    project = enter(message)
    caller().require_role(*DECIDERS)
    return project


def carry_out_job(carry_out: CarryOut) -> JobHandler:
    """The handler of queued decisions."""

    async def work(job: Job) -> None:
        await carry_out(project_from_json(job.payload["project"]), job.payload["id"])

    return work


def apart_to_proto(apart: Apart) -> pb.QuarantinedInstance:
    """Apart -> message."""
    said = {field.name: getattr(apart, field.name) for field in dataclasses.fields(apart)}
    regions = [pb.PixelRegion(x=x, y=y, width=width, height=height) for x, y, width, height in apart.regions]
    told = {name: value for name, value in said.items() if name not in UNTOLD}
    return pb.QuarantinedInstance(**told, sop_class_uid=apart.sop_class, state=apart.state.value, regions=regions)
