"""The gRPC door of inference."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from irp.common.v1 import types_pb2
from irp.inference.v1 import inference_service_pb2 as pb
from irp.inference.v1 import inference_service_pb2_grpc as pb_grpc
from irp_bundle import PromptsNeeded
from irp_chassis.db import Database
from irp_chassis.rpc import caller
from irp_chassis.rpc_server import deadline
from irp_chassis.wire import project_ref_from_proto
from irp_kernel.codec import NRRD
from irp_kernel.errors import SeriesUnknown
from irp_kernel.slices import encode_slices

from irp_inference.adapters.algorithms import described
from irp_inference.adapters.compact import response_of, wish_of
from irp_inference.adapters.events import enqueue_proposal
from irp_inference.adapters.proposals import Proposals
from irp_inference.adapters.shelf import Shelf
from irp_inference.app.ports import Series, Ticket
from irp_inference.app.segment_series import Answer, Segments
from irp_inference.domain.algorithms.table import METHODS
from irp_inference.domain.errors import ProposalUnknown


class InferenceServicer(pb_grpc.InferenceServiceServicer):
    """Wire <-> verbs."""

    def __init__(
        self,
        answer: Segments,
        series: Series,
        shelf: Shelf,
        database: Database,
        proposals: Proposals,
    ) -> None:
        self._answer, self._series, self._shelf, self._database = answer, series, shelf, database
        self._proposals = proposals

    async def Segment(self, request: pb.SegmentRequest, context: Any) -> pb.SegmentResponse:  # noqa: N802
        """One answer now."""
        project = project_ref_from_proto(request.project)
        caller().require_project(project.id)
        ticket = Ticket(project=project.id, until=deadline.get())
        answer = await self._answer(wish_of(request), ticket)
        began = time.perf_counter()
        response = await asyncio.to_thread(_told, answer, caller().subject, compact=request.compact)
        response.timings_ms["encode"] = (time.perf_counter() - began) * 1000
        return response

    async def Propose(self, request: pb.ProposeRequest, context: Any) -> pb.ProposeResponse:  # noqa: N802
        """Queue a proposal, again if it failed; answered after its row is committed.

        The one that there is is answered, if the same version of the model made it of the same version of the series.
        """
        project = project_ref_from_proto(request.project)
        caller().require_project(project.id)
        by = await self._shelf.meant(request.model, request.series_uid)
        name, _, number = by.partition("@")
        loaded = self._shelf.status((name, int(number))).loaded
        if loaded is not None and loaded.interactive is not None:
            raise PromptsNeeded
        series = await self._series.get(project.id, request.series_uid)
        if series is None:
            raise SeriesUnknown
        async with self._database.transaction() as tx:
            key = await enqueue_proposal(
                tx, request.project, request.series_uid, series.version, request.model, by=by, again=True
            )
        return pb.ProposeResponse(job_id=key)

    async def GetProposal(self, request: pb.GetProposalRequest, context: Any) -> pb.GetProposalResponse:  # noqa: N802
        """How far a queued proposal is."""
        project = project_ref_from_proto(request.project)
        caller().require_project(project.id)
        if not request.job_id.startswith(f"{project.id}/"):
            raise ProposalUnknown
        return await self._proposals.state(request.job_id)

    async def ListLoaded(self, request: pb.ListLoadedRequest, context: Any) -> pb.ListLoadedResponse:  # noqa: N802
        """Models of this process."""
        models = [
            pb.LoadedModel(
                model=types_pb2.ModelRef(name=model.name, version=model.version, digest=model.digest),
                ready=not model.nets.parked,
                parked=model.nets.parked,
                engine=model.nets.engine,
                device=model.nets.device,
                precision=model.nets.precision,
                weight_bytes=model.nets.memory_bytes,
            )
            for status in self._shelf.loaded()
            if (model := status.loaded) is not None
        ]
        return pb.ListLoadedResponse(models=models)

    async def ListAlgorithms(  # noqa: N802
        self, request: pb.ListAlgorithmsRequest, context: Any
    ) -> pb.ListAlgorithmsResponse:
        """The methods that stand in a model's place."""
        return pb.ListAlgorithmsResponse(algorithms=[described(name, known) for name, known in METHODS.items()])


def _told(answer: Answer, subject: str, *, compact: bool) -> pb.SegmentResponse:
    """With labels, or with a file on the whole grid in their place."""
    response = response_of(answer, subject)
    if not compact:
        response.ClearField("labels")
        response.mask = encode_slices(answer.segmented.on(answer.geometry), NRRD)
    return response
