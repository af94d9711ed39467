"""A classification server with canned answers."""

from __future__ import annotations

import asyncio
import threading
import zlib
from typing import Any, ClassVar

import numpy as np
from irp.inference.v1 import inference_service_pb2 as inference_pb
from irp.inference.v1 import inference_service_pb2_grpc as inference_grpc
from irp_inference.adapters.algorithms import described
from irp_inference.domain.algorithms.table import METHODS
from irp_inference.domain.errors import AlgorithmUnknown, PromptsNotTaken
from irp_kernel import CANONICAL
from irp_kernel.errors import ModelUnknown, NotFound, ResourceExhausted

from .fake_heart import PROVENANCE, a_mask


def segmented(frames: list[int], slices: list[int], timings_ms: dict[str, float]) -> inference_pb.SegmentResponse:
    """The mask's labels of some frames and slices, as inference packs them."""
    mask = a_mask()
    labels = inference_pb.Labels(
        frames=frames,
        slices=slices,
        rows=16,
        columns=16,
        data=zlib.compress(mask.labels[np.ix_(frames, slices)].tobytes()),
        table={1: CANONICAL[1]},
    )
    affine = mask.geometry.matrix.ravel().tolist()
    grid = inference_pb.Grid(frames=3, slices=2, rows=16, columns=16, affine=affine)
    return inference_pb.SegmentResponse(labels=labels, grid=grid, provenance=PROVENANCE, timings_ms=timings_ms)


def _tell(answer: inference_pb.SegmentResponse) -> None:
    """40 of 255 wherever there is a label, and a reason to look twice."""
    answer.uncertainty = zlib.compress((np.frombuffer(zlib.decompress(answer.labels.data), np.uint8) * 40).tobytes())
    answer.estimate.dice = answer.estimate.expected_dice["lv_blood_pool"] = 0.75
    answer.estimate.warning_codes.append("low-confidence")
    answer.estimate.warnings.append("Less sure than on clear images: the network expects a Dice below 0.92.")


class Inference(inference_grpc.InferenceServiceServicer):
    """One mask for everybody; a proposal that is done after three looks."""

    asked: ClassVar[list[Any]] = []  # requests for methods
    begun, cancelled = threading.Event(), threading.Event()  # of a request for the model that answers nobody

    def __init__(self) -> None:
        self.looks: dict[str, int] = {}

    async def Segment(self, request: Any, context: Any) -> inference_pb.SegmentResponse:
        if request.HasField("algorithm"):
            self.asked.append(request)
            if request.algorithm.name not in METHODS:
                raise AlgorithmUnknown
            return segmented([0], list(request.slices) or [0], {"segment": 9.0})
        if request.model.partition("@")[0] == "busy":
            raise ResourceExhausted("64 requests are waiting")
        if request.model == "endless":
            await self._until_cancelled()
        if request.model.partition("@")[0] != "cine":
            raise ModelUnknown(request.model)
        if request.HasField("prompts"):
            raise PromptsNotTaken
        timings = {"locate": 3.0, "segment": 9.0}
        assert request.compact
        frames, slices = list(request.frames) or [0, 1, 2], list(request.slices) or [0, 1]
        answer = segmented(frames, slices, timings)
        if request.options.uncertainty:
            _tell(answer)
        return answer

    async def _until_cancelled(self) -> None:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()

    async def ListAlgorithms(self, request: Any, context: Any) -> inference_pb.ListAlgorithmsResponse:
        return inference_pb.ListAlgorithmsResponse(algorithms=[described(name, one) for name, one in METHODS.items()])

    async def Propose(self, request: Any, context: Any) -> inference_pb.ProposeResponse:
        return inference_pb.ProposeResponse(job_id="job-1")

    async def GetProposal(self, request: Any, context: Any) -> inference_pb.GetProposalResponse:
        project = request.project.id
        if request.job_id != f"{project}/1.2.3/1/cine@2":
            raise NotFound("no such job")
        looks = self.looks[project] = self.looks.get(project, 0) + 1
        state = "done" if looks > 2 else "running"
        return inference_pb.GetProposalResponse(
            state=state, series_uid="1.2.3", model="cine@2", done=looks, total=3, eta_s=3.0 - looks
        )
