"""A classification server on the live door: it answers at once, never, in parts, or dies, by the name of the model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from irp.inference.v1 import live_service_pb2 as pb
from irp.inference.v1 import live_service_pb2_grpc as pb_grpc
from irp_chassis.auth import caller
from irp_kernel.errors import Unavailable

from . import fake_inference


@dataclass
class FakeLive(pb_grpc.LiveServiceServicer):
    """Remembers what was asked, and how many lines there were."""

    asked: list[pb.Ask] = field(default_factory=list)
    lines: int = 0

    async def Live(self, requests: Any, context: Any) -> AsyncIterator[pb.LiveResponse]:
        self.lines += 1
        async for request in requests:
            if request.WhichOneof("what") == "cancel":
                yield pb.LiveResponse(id=request.cancel.id, dropped=pb.Dropped(reason="cancelled"))
                continue
            self.asked.append(request.ask)
            caller().require_project(request.ask.request.project.id)
            async for response in self._answer(request.ask):
                yield response

    async def _answer(self, ask: pb.Ask) -> AsyncIterator[pb.LiveResponse]:
        name, slices, frames = ask.request.model, list(ask.request.slices), list(ask.request.frames)
        if name == "dies":
            raise Unavailable
        if name == "never":
            return
        if name == "liver":
            said = pb.Problem(code="NOT_FOUND", reason="MODEL_UNKNOWN", title="t", detail="d", advice="a")
            yield pb.LiveResponse(id=ask.id, problem=said)
        elif slices:
            found = fake_inference.segmented(frames, slices, {"segment": 9.0})
            yield pb.LiveResponse(id=ask.id, answer=pb.Answer(segmentation=found, known=True))
        else:
            for frame in range(3):
                found = fake_inference.segmented([frame], [0, 1], {})
                progress = pb.LiveProgress(done=frame + 1, total=3, eta_s=2.0 - frame)
                yield pb.LiveResponse(id=ask.id, part=pb.Part(segmentation=found, progress=progress))
            found.ClearField("labels")
            yield pb.LiveResponse(id=ask.id, answer=pb.Answer(segmentation=found))
