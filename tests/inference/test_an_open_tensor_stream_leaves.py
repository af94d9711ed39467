"""What you learn here: a room that leaves ends what an open stream has begun, and sends the rest elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from irp.oip import open_inference_pb2 as pb
from irp_chassis.auth import Caller, act_as
from irp_inference.adapters.oip.grpc_door import OpenInference


class Nets:
    """One network; its passes end when they may."""

    def __init__(self) -> None:
        self.begun, self.go = asyncio.Event(), asyncio.Event()

    async def infer(self, *_: Any) -> tuple[int, Any]:
        self.begun.set()
        await self.go.wait()
        return 1, np.zeros((1, 1, 2, 2), np.float32)


def a_request(id: str) -> pb.ModelInferRequest:
    tensor = pb.ModelInferRequest.InferInputTensor(name="image", datatype="FP32", shape=[1, 1, 2, 2])
    return pb.ModelInferRequest(
        model_name="heart", id=id, inputs=[tensor], raw_input_contents=[np.zeros(4, np.float32).tobytes()]
    )


async def test_what_was_begun_is_answered_and_what_comes_later_is_refused() -> None:
    act_as(Caller(subject="engineer", roles=frozenset({"admin"})))
    nets, stopping = Nets(), asyncio.Event()
    door = OpenInference(nets, "1")  # type: ignore[arg-type]
    leaving = asyncio.create_task(door.leave(stopping))

    async def requests() -> AsyncIterator[pb.ModelInferRequest]:
        yield a_request("begun")
        await nets.begun.wait()
        stopping.set()
        await leaving
        yield a_request("late")
        nets.go.set()

    async with asyncio.timeout(5):
        begun, late = [said async for said in door.ModelStreamInfer(requests(), None)]
    assert (begun.infer_response.id, begun.error_message) == ("begun", "")
    assert late.infer_response.id == "late"
    assert late.error_message.startswith("SERVER_LEAVES")
