"""What you learn here: whatever a replica says, and whenever, each ask of a live session has exactly one end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from irp.common.v1 import types_pb2
from irp.inference.v1 import inference_service_pb2 as segment_pb
from irp.inference.v1 import live_service_pb2 as pb
from irp_gateway.adapters.live_frames import SegmentFrame
from irp_gateway.adapters.live_line import LiveLine

from .fake_inference import segmented

FULL = pb.Problem(code="RESOURCE_EXHAUSTED", reason="INFERENCE_QUEUE_FULL", retry_after_s=2)


class Scripted:
    """A line to a replica that says what a test says, and remembers what it heard."""

    def __init__(self, address: str, *replicas: Scripted) -> None:
        self.address, self._replicas = address, list(replicas)
        self.heard: asyncio.Queue[pb.LiveRequest] = asyncio.Queue()
        self._says: asyncio.Queue[pb.LiveResponse | Exception] = asyncio.Queue()

    def near(self, series: str) -> list[Scripted]:
        return self._replicas

    async def stream(self, method: str, requests: AsyncIterator[Any], *, timeout_s: float | None) -> AsyncIterator[Any]:
        reading = asyncio.create_task(self._read(requests))
        try:
            while True:
                said = await self._says.get()
                if isinstance(said, Exception):
                    raise said
                yield said
        finally:
            reading.cancel()

    async def _read(self, requests: AsyncIterator[pb.LiveRequest]) -> None:
        async for request in requests:
            self.heard.put_nowait(request)

    def say(self, id: str, **what: Any) -> None:
        self._says.put_nowait(pb.LiveResponse(id=id, **what))

    def answer(self, id: str) -> None:
        self.say(id, answer=pb.Answer(segmentation=segmented([0], [0], {})))

    def breaks(self, error: Exception) -> None:
        self._says.put_nowait(error)

    async def hear(self) -> str:
        """What it is asked next, by id."""
        async with asyncio.timeout(5):
            request = await self.heard.get()
        return request.ask.id or f"cancel {request.cancel.id}"


class Reader:
    """A live session at two replicas, of which the first is nearest."""

    def __init__(self) -> None:
        self.first, self.next = Scripted("first"), Scripted("next")
        anywhere: Any = Scripted("any", self.first, self.next)
        self.line = LiveLine(anywhere)

    def ask(self, id: str, **more: Any) -> None:
        said = {"type": "segment", "id": id, "series": "1.2", "model": "cine", "slice": 0, "keep": True, **more}
        frame = SegmentFrame.model_validate(said)
        self.line.ask(frame, frame.to_proto(types_pb2.ProjectRef(id="demo")))

    async def hear(self) -> tuple[str, str, str]:
        async with asyncio.timeout(5):
            header, _ = await self.line.said.get()
        return header["id"], header["type"], header.get("reason", "")


@pytest.fixture
async def reader() -> AsyncIterator[Reader]:
    found = Reader()
    yield found
    await found.line.close()


def broken() -> segment_pb.SegmentResponse:
    """Labels that cannot be unpacked."""
    found = segmented([0], [0], {})
    found.labels.data = b"junk"
    return found


async def test_an_ask_that_is_cancelled_while_a_full_replica_refuses_it_is_dropped(reader: Reader) -> None:
    reader.ask("a")
    assert await reader.first.hear() == "a"
    reader.first.say("a", problem=FULL)
    reader.line.cancel("a")  # the refusal is on its way
    assert await reader.hear() == ("a", "dropped", "cancelled")
    assert reader.next.heard.empty()
    assert not reader.line.open


async def test_an_answer_that_cannot_be_read_is_a_problem_of_its_ask_only(reader: Reader) -> None:
    reader.ask("bad", answer=["contours"])
    reader.ask("good")
    reader.first.say("bad", answer=pb.Answer(segmentation=broken()))
    reader.first.answer("good")
    assert await reader.hear() == ("bad", "problem", "INTERNAL")
    assert await reader.hear() == ("good", "answer", "")
    reader.ask("later")
    reader.first.answer("later")
    assert await reader.hear() == ("later", "answer", "")


async def test_a_series_of_which_a_part_cannot_be_read_ends_there_and_is_not_computed_further(reader: Reader) -> None:
    reader.ask("all", slice=None, answer=["contours"])
    assert await reader.first.hear() == "all"
    part = pb.Part(segmentation=broken(), progress=pb.LiveProgress(done=1, total=2))
    for _ in range(2):
        reader.first.say("all", part=part)
    reader.first.answer("all")
    assert await reader.hear() == ("all", "problem", "INTERNAL")
    assert await reader.first.hear() == "cancel all"
    reader.ask("later")
    reader.first.answer("later")
    assert await reader.hear() == ("later", "answer", "")


async def test_whatever_breaks_a_line_its_asks_go_on_elsewhere_and_the_next_begins_a_new_one(reader: Reader) -> None:
    reader.ask("a")
    assert await reader.first.hear() == "a"
    reader.first.breaks(ValueError("of a library"))
    assert await reader.next.hear() == "a"
    reader.next.answer("a")
    assert await reader.hear() == ("a", "answer", "")
    reader.ask("b")
    assert await reader.first.hear() == "b"
    reader.first.answer("b")
    assert await reader.hear() == ("b", "answer", "")
