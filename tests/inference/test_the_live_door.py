"""What you learn here: the real room answers on the live stream what /segment answers, and refuses with reasons."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
from irp.inference.v1 import inference_service_pb2 as segment_pb
from irp.inference.v1 import live_service_pb2 as pb
from irp.inference.v1 import live_service_pb2_grpc as pb_grpc
from irp_chassis.auth import TokenMinter, act_as
from irp_chassis.rpc import RpcClient
from irp_chassis.settings import ServiceSettings
from irp_kernel import decode_mask

from .room import WHO, World, a_project, a_volume, living, segment, until_version

GROWING = segment_pb.Algorithm(name="region-growing", structure="scar")


class Line:
    """A client of the stream."""

    def __init__(self, client: RpcClient, world: World) -> None:
        act_as(WHO)
        self._going: asyncio.Queue[pb.LiveRequest] = asyncio.Queue()
        self._world = world
        stub = pb_grpc.LiveServiceStub(client.channel)
        self.heard = client.stream(stub.Live, self._each(), timeout_s=60)

    async def _each(self) -> AsyncIterator[pb.LiveRequest]:
        while True:
            yield await self._going.get()

    def request(self, **asked: Any) -> segment_pb.SegmentRequest:
        return segment_pb.SegmentRequest(
            project=a_project(), series_uid=self._world.uid, model=self._world.model, **asked
        )

    def ask(self, name: str, *, project: str = "demo", slices: list[int], frames: list[int], **more: object) -> None:
        request = self.request(slices=slices, frames=frames)
        request.project.id = project
        self.send(name, request, **more)

    def send(self, name: str, request: segment_pb.SegmentRequest, **more: object) -> None:
        """With `keep`, so that every ask is answered."""
        more = {"keep": True, **more}
        self._going.put_nowait(pb.LiveRequest(ask=pb.Ask(id=name, request=request, deadline_s=30, **more)))  # type: ignore[arg-type]

    async def hear(self) -> pb.LiveResponse:
        async with asyncio.timeout(30):
            found: pb.LiveResponse = await anext(self.heard)
            return found


async def test_the_stream_answers_what_segment_answers(
    world: World, service_settings: ServiceSettings, minter: TokenMinter, tmp_path: Path
) -> None:
    volume = a_volume()
    async with living(service_settings, minter, tmp_path / "i.db") as client:
        await world.store(volume)
        await world.promote(1, seed=1)
        mask = decode_mask((await until_version(client, world, 1, slices=[1], frames=[2])).mask)
        compact = await segment(client, world, slices=[1], frames=[2], compact=True)
        assert not compact.mask
        line = Line(client, world)
        line.ask("a", slices=[1], frames=[2], ahead=True)
        said = await line.hear()
        assert (said.id, said.WhichOneof("what"), said.answer.known) == ("a", "answer", True)
        labels = said.answer.segmentation.labels
        assert labels == compact.labels
        found = np.frombuffer(zlib.decompress(labels.data), dtype=np.uint8).reshape(labels.rows, labels.columns)
        assert np.array_equal(found, mask.labels[2, 1])
        grid = said.answer.segmentation.grid
        assert (grid.frames, grid.slices, grid.rows, grid.columns) == volume.geometry.array_shape
        assert np.allclose(np.reshape(grid.affine, (4, 4)), volume.geometry.matrix)
        line.ask("other", project="elsewhere", slices=[1], frames=[2])
        line.ask("none", slices=[99], frames=[0])
        reasons = {(said := await line.hear()).id: said.problem.reason for _ in range(2)}
        assert reasons == {"other": "PERMISSION_DENIED", "none": "NO_SUCH_SLICE"}
        marked = line.request(slices=[1], frames=[2])
        marked.prompts.clicks.add(frame=2, slice=1, row=20, column=20, inside=True)
        line.send("unread", marked)
        marked.algorithm.name, marked.algorithm.structure = "region-growing", "scar"
        line.send("grown", marked)
        marked.algorithm.name = "magic"
        line.send("magic", marked)
        ends = {(said := await line.hear()).id: said for _ in range(3)}
        assert (ends["unread"].problem.reason, ends["magic"].problem.reason) == (
            "PROMPTS_NOT_TAKEN",
            "ALGORITHM_UNKNOWN",
        )
        grown = await segment(client, world, slices=[1], prompts=marked.prompts, algorithm=GROWING, compact=True)
        assert ends["grown"].answer.segmentation.labels == grown.labels
        assert ends["grown"].answer.segmentation.provenance.model.name == "region-growing"
        line.ask("all", slices=[], frames=[])
        parts = [await line.hear() for _ in range(volume.geometry.frames)]
        assert [part.part.progress.done for part in parts] == [1, 2, 3, 4]
        end = await line.hear()
        assert (end.id, end.WhichOneof("what")) == ("all", "answer")
        assert not end.answer.segmentation.HasField("labels")
