"""A classification server of which every forward pass is counted, and held back where a test wants it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from irp_bundle import PLAIN, Forward, Located, Options, PipelineReport, Segmented, Steps
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.app.drive import Drive
from irp_inference.app.live_session import Event, LiveSession, Partly
from irp_inference.app.locations import Locations
from irp_inference.app.ports import Loaded, SeriesKnown, Ticket
from irp_inference.app.segment_marked import SegmentMarked
from irp_inference.app.segment_series import SegmentSeries, Wish
from irp_inference.domain.cache import BytesBoundCache
from irp_inference.domain.live_queue import Asked
from irp_kernel import Geometry, LabelTable, ObjectRef, Volume

T = TypeVar("T")
FRAMES, SLICES = 4, 9


@dataclass
class CountingNets:
    """Remembers which (frame, slice) each pass was for; while `hold` is set, passes wait for `go`."""

    passes: list[tuple[str, int, int]] = field(default_factory=list)
    hold: bool = False
    go: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    begun: asyncio.Queue[tuple[str, int, int]] = field(default_factory=asyncio.Queue)
    engine: str = "counting"
    device: str = "cpu"
    precision: str = "float32"
    parked: bool = False
    memory_bytes: int = 0
    best_batch: int = 1

    async def forward(self, stage: Any, inputs: Any) -> Any:
        what = (stage, int(inputs[0, 0]), int(inputs[0, 1]))
        self.passes.append(what)
        self.begun.put_nowait(what)
        if self.hold:
            await self.go.acquire()
        return inputs

    async def close(self) -> None: ...


class FakeSteps:
    """Labels that say which slice they are of; `rounds` passes each."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds

    def locate(self, volume: Volume) -> Steps[Located]:
        yield Forward("locate", np.array([[-1.0, -1.0]], dtype=np.float32))
        windows = np.tile([4.0, 4.0, 8.0], (SLICES, 1))
        return Located(windows=windows, outcomes=("found",) * SLICES, box=5.0)

    def segment(
        self, volume: Volume, *, frames: Any, slices: Any, located: Located, options: Options = PLAIN
    ) -> Steps[Segmented]:
        chosen = tuple(slices) or tuple(range(SLICES))
        times = tuple(frames) or tuple(range(FRAMES))
        for _ in range(self._rounds):
            yield Forward("segment", np.array([[times[0], chosen[0]]], dtype=np.float32))
        labels = np.zeros((len(times), len(chosen), 8, 8), dtype=np.uint8)
        labels[:, :, 2:5, 2 : 3 + chosen[0] % 5] = 1
        report = PipelineReport(located=located, slices=chosen, frames=times, timings_ms={"segment": 1.0})
        return Segmented(labels=labels, table=LabelTable.canonical(["lv_blood_pool"]), report=report)


@dataclass
class Server:
    """Verbs on counting nets, and one session, whose reader hears something while `reads` is set."""

    nets: CountingNets
    segment: SegmentSeries
    session: LiveSession
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # of the room
    heard: asyncio.Queue[Event] = field(default_factory=asyncio.Queue)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    listening: asyncio.Task[None] = field(init=False)

    async def ask(self, id: str, slice_: int | None, *, frame: int | None = 0, **more: Any) -> None:
        wish = Wish(
            project="demo",
            series_uid=more.pop("series", "1.2"),
            model="heart",
            frames=[] if frame is None else [frame],
            slices=[] if slice_ is None else [slice_],
        )
        await self.session.ask(Asked(id=id, what=wish, **more))

    async def end(self) -> Event:
        """The next end, parts left out."""
        async with asyncio.timeout(5):
            while isinstance(event := await self.heard.get(), Partly):
                pass
            return event

    @property
    def segmented(self) -> list[tuple[int, int]]:
        """(frame, slice) of each pass of net 2."""
        return [(frame, slice_) for stage, frame, slice_ in self.nets.passes if stage == "segment"]

    async def begun(self, stage: str = "segment") -> tuple[int, int]:
        """Wait for the next pass of a stage to begin."""
        async with asyncio.timeout(5):
            while (what := await self.nets.begun.get())[0] != stage:
                pass
            return what[1:]


class OneSeries:
    async def get(self, project: str, uid: str) -> SeriesKnown | None:
        if uid.startswith("9"):
            return None
        ref = ObjectRef(bucket="b", key="k", sha256=uid[0] * 64, size=1, media_type="x")
        return SeriesKnown(project=project, uid=uid, version=1, volume=ref, sequence_class="cine-sax")


class OneVolume:
    async def get(self, ref: ObjectRef) -> Volume:
        geometry = Geometry(shape=(SLICES, 8, 8), affine=tuple(map(tuple, np.eye(4))), frames=FRAMES)
        return Volume(geometry=geometry, array=np.zeros(geometry.array_shape, dtype=np.int16))


class OneModel:
    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @asynccontextmanager
    async def use(self, name: str, version: int | None) -> AsyncIterator[Loaded]:
        yield self._loaded


async def at_once(work: Callable[[], T], ticket: Ticket, rows: int = 1) -> T:
    return work()


@asynccontextmanager
async def a_server(*, ahead: int = 0, rounds: int = 1, limit: int = 4, reads: bool = True) -> AsyncIterator[Server]:
    nets, batches = CountingNets(), DynamicBatches(64)
    steps: Any = FakeSteps(rounds)
    model = Loaded(name="heart", version=1, digest="d" * 64, steps=steps, nets=nets)
    drive = Drive(batches, at_once)
    locations = Locations(BytesBoundCache(10), drive, linger_s=0.05)
    marked = SegmentMarked(drive, at_once, BytesBoundCache(1 << 20))
    segment = SegmentSeries(
        OneSeries(), OneVolume(), OneModel(model), locations, drive, BytesBoundCache(1 << 20), marked
    )
    session = LiveSession(segment, limit=limit, ahead=ahead)
    server = Server(nets, segment, session)
    if reads:
        server.reads.set()

    async def listen() -> None:
        await server.reads.wait()
        async for event in session.events():
            server.heard.put_nowait(event)

    server.listening = asyncio.create_task(listen())
    works = (batches.serve(server.stopping), session.serve())
    tasks = [server.listening, *(asyncio.create_task(work) for work in works)]
    try:
        yield server
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
