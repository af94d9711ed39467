"""What you learn here: a click costs one small pass, for what the encoder saw is remembered; and who takes marks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from irp.inference.v1 import inference_service_pb2 as pb
from irp_bundle import InteractiveSteps, PipelineSteps, PromptsNeeded, read_bundle
from irp_chassis.auth import Caller, act_as
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.adapters.rpc import InferenceServicer
from irp_inference.app.drive import Drive
from irp_inference.app.live_session import Answered, Dropped, LiveSession, Refused
from irp_inference.app.locations import Locations
from irp_inference.app.ports import Loaded, Ticket
from irp_inference.app.segment_marked import SegmentMarked
from irp_inference.app.segment_series import SegmentSeries, Wish
from irp_inference.domain.algorithms.marks import Box, Click, Marks
from irp_inference.domain.cache import BytesBoundCache
from irp_inference.domain.errors import PromptsNotTaken, PromptsNotValid
from irp_inference.domain.live_queue import Asked
from irp_kernel import Geometry, ObjectRef, Volume

from tests.bundle.marked import ByMarks, a_marked_bundle

from .live_builders import CountingNets, FakeSteps, OneModel, OneSeries, at_once
from .test_live_session import PROJECT

TICKET = Ticket(project="demo")
FEATURE_BYTES = 3 * 32 * 32 * 4


@dataclass
class MarkedNets(CountingNets):
    """The known answer; passes by stage."""

    net: ByMarks = field(default_factory=ByMarks)

    async def forward(self, stage: Any, inputs: Any) -> Any:
        self.begun.put_nowait((stage, 0, 0))
        if self.hold:
            await self.go.acquire()
        return self.net(stage, inputs)

    @property
    def stages(self) -> list[str]:
        return [stage for stage, _ in self.net.passes]


class Hearts:
    async def get(self, ref: ObjectRef) -> Volume:
        geometry = Geometry(shape=(2, 48, 40), affine=tuple(map(tuple, np.diag([8.0, 1.4, 1.4, 1.0]))), frames=2)
        return Volume(geometry=geometry, array=np.random.default_rng(0).normal(100, 20, geometry.array_shape))


@asynccontextmanager
async def a_verb(nets: CountingNets, *, takes: bool = True, cache: int = 1 << 20) -> AsyncIterator[SegmentSeries]:
    batches, stopping = DynamicBatches(64), asyncio.Event()
    bundle = read_bundle(a_marked_bundle())
    assert bundle.spec.prompts
    interactive = InteractiveSteps(bundle, bundle.spec.prompts) if takes else None
    steps: Any = PipelineSteps(bundle) if takes else FakeSteps(1)
    model = Loaded(name="click", version=1, digest="d" * 64, steps=steps, nets=nets, interactive=interactive)
    drive = Drive(batches, at_once)
    marked = SegmentMarked(drive, at_once, BytesBoundCache(cache))
    locations, memory = Locations(BytesBoundCache(10), drive), BytesBoundCache[Any](1 << 20)
    serving = asyncio.create_task(batches.serve(stopping))
    try:
        yield SegmentSeries(OneSeries(), Hearts(), OneModel(model), locations, drive, memory, marked)
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def clicked(*pixels: tuple[float, float], place: tuple[int, int] = (0, 1), series: str = "1.2") -> Wish:
    marks = {place: Marks(clicks=[Click(row=row, column=column) for row, column in pixels])} if pixels else {}
    return Wish(
        project="demo",
        series_uid=series,
        model="click",
        frames=[place[0]],
        slices=[place[1]],
        variant=None if marks else "",
        marks=marks,
    )


async def test_the_second_click_on_a_slice_causes_no_encoder_pass() -> None:
    nets = MarkedNets()
    async with a_verb(nets) as segment:
        first = await segment(clicked((24, 20)), TICKET)
        second = await segment(clicked((24, 20), (30, 20)), TICKET)
        assert nets.stages == ["encode", "segment", "segment"]
        assert first.segmented.labels[0, 0, 30, 20] == 0
        assert second.segmented.labels[0, 0, 30, 20] == 1
        assert not second.known
        assert set(second.timings_ms) >= {"load", "locate", "encode", "segment", "post"}
        assert first.parameters["prompts.marks_sha256"] != second.parameters["prompts.marks_sha256"]
        await segment(clicked((24, 20), place=(1, 1)), TICKET)
        await segment(clicked((24, 20), series="2.2"), TICKET)  # another volume
        assert nets.stages[3:] == ["encode", "segment", "encode", "segment"]


async def test_what_encoders_saw_is_bounded_in_bytes() -> None:
    nets = MarkedNets()
    async with a_verb(nets, cache=2 * FEATURE_BYTES) as segment:
        for place in ((0, 0), (0, 1), (1, 0), (0, 0)):
            await segment(clicked((24, 20), place=place), TICKET)
        assert nets.stages.count("encode") == 4  # the first went for the third
        await segment(clicked((20, 20), place=(1, 0)), TICKET)
        assert nets.stages.count("encode") == 4


async def test_on_the_live_door_a_newer_click_supersedes_and_the_encoder_has_not_seen_in_vain() -> None:
    nets = MarkedNets(hold=True)
    async with a_verb(nets) as segment:
        session = LiveSession(segment, limit=4, ahead=2)
        serving, events = asyncio.create_task(session.serve()), session.events()
        await session.ask(Asked(id="old", what=clicked((24, 20)), ahead=True))
        async with asyncio.timeout(5):
            assert (await nets.begun.get())[0] == "encode"
            await session.ask(Asked(id="new", what=clicked((24, 20), (30, 20)), ahead=True))
            nets.hold = False
            nets.go.release()
            old, new = await anext(events), await anext(events)
        assert old == Dropped("old", "superseded", passes=1)
        assert isinstance(new, Answered)
        assert new.answer.segmented.labels[0, 0, 30, 20] == 1
        assert nets.stages == ["encode", "segment"]
        await session.ask(Asked(id="all", what=Wish(project="demo", series_uid="1.2", model="click")))
        async with asyncio.timeout(5):
            whole = await anext(events)
        assert isinstance(whole, Refused)
        assert whole.error.reason == "PROMPTS_NEEDED"
        serving.cancel()


async def test_a_model_that_needs_marks_proposes_nothing() -> None:
    bundle = read_bundle(a_marked_bundle())
    assert bundle.spec.prompts
    loaded = SimpleNamespace(interactive=InteractiveSteps(bundle, bundle.spec.prompts))
    nothing: Any = None

    async def meant(model: str, series_uid: str) -> str:
        return model

    shelf: Any = SimpleNamespace(status=lambda key: SimpleNamespace(loaded=loaded), meant=meant)
    door = InferenceServicer(nothing, nothing, shelf, nothing, nothing)
    act_as(Caller(subject="reader", project="demo", roles=frozenset({"annotator"})))
    with pytest.raises(PromptsNeeded):
        await door.Propose(pb.ProposeRequest(project=PROJECT, series_uid="1.2", model="click@1"), None)


async def test_marks_and_models_that_do_not_go_together_are_refused_without_a_pass() -> None:
    nets = MarkedNets()
    async with a_verb(nets) as segment:
        with pytest.raises(PromptsNeeded):
            await segment(clicked(), TICKET)
        boxed = Marks(boxes=[Box(row_first=1, column_first=1, row_last=9, column_last=9)])
        box = replace(clicked((24, 20)), marks={(0, 1): boxed})  # this model learnt clicks and scribbles
        with pytest.raises(PromptsNotValid):
            await segment(box, TICKET)
        with pytest.raises(PromptsNotValid):
            await segment(clicked((99, 1)), TICKET)
        with pytest.raises(PromptsNotValid):
            await segment(clicked((1, 1), place=(0, 7)), TICKET)
    async with a_verb(nets, takes=False) as segment:
        with pytest.raises(PromptsNotTaken):
            await segment(clicked((24, 20)), TICKET)
    assert nets.stages == []
