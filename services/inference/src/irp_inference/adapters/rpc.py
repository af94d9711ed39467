"""The gRPC door of inference."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from irp.common.v1 import types_pb2
from irp.inference.v1 import inference_service_pb2 as pb
from irp.inference.v1 import inference_service_pb2_grpc as pb_grpc
from irp_chassis.db import Database
from irp_chassis.rpc import caller
from irp_chassis.rpc_server import deadline
from irp_chassis.wire import project_ref_from_proto
from irp_kernel import encode_mask
from irp_kernel.errors import SeriesUnknown
from irp_kernel.ids import split_model

from irp_inference.adapters.events import enqueue_proposal, provenance
from irp_inference.adapters.shelf import Shelf
from irp_inference.app.answer_series import AnswerSeries
from irp_inference.app.ports import Series, Ticket
from irp_inference.app.segment_series import Wish


class InferenceServicer(pb_grpc.InferenceServiceServicer):
    """Wire <-> verbs."""

    def __init__(self, segment: AnswerSeries, series: Series, shelf: Shelf, database: Database) -> None:
        self._segment, self._series, self._shelf, self._database = segment, series, shelf, database

    async def Segment(self, request: pb.SegmentRequest, context: Any) -> pb.SegmentResponse:  # noqa: N802
        """One answer now."""
        project = project_ref_from_proto(request.project)
        caller().require_project(project.id)
        wish = Wish(
            project=project.id,
            series_uid=request.series_uid,
            model=request.model,
            frames=list(request.frames),
            slices=list(request.slices),
        )
        answer = await self._segment(wish, Ticket(project=project.id, until=deadline.get()))
        began = time.perf_counter()
        data = await asyncio.to_thread(lambda: encode_mask(answer.mask()))
        timings = {**answer.timings_ms, "encode": (time.perf_counter() - began) * 1000}
        return pb.SegmentResponse(mask=data, provenance=provenance(answer, caller().subject), timings_ms=timings)

    async def Propose(self, request: pb.ProposeRequest, context: Any) -> pb.ProposeResponse:  # noqa: N802
        """Queue a proposal; answered after its row is committed."""
        project = project_ref_from_proto(request.project)
        caller().require_project(project.id)
        name, version = split_model(request.model)
        if version is None:
            await self._shelf.champion(name)
        series = await self._series.get(project.id, request.series_uid)
        if series is None:
            raise SeriesUnknown
        async with self._database.transaction() as tx:
            key = await enqueue_proposal(tx, request.project, request.series_uid, series.version, request.model)
        return pb.ProposeResponse(job_id=key)

    async def ListLoaded(self, request: pb.ListLoadedRequest, context: Any) -> pb.ListLoadedResponse:  # noqa: N802
        """Models of this process."""
        models = [
            pb.LoadedModel(
                model=types_pb2.ModelRef(name=model.name, version=model.version, digest=model.digest),
                ready=True,
                engine=model.nets.engine,
                device=model.nets.device,
                weight_bytes=model.nets.memory_bytes,
            )
            for status in self._shelf.loaded()
            if (model := status.loaded) is not None
        ]
        return pb.ListLoadedResponse(models=models)
