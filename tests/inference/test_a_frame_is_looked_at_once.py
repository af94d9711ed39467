"""What you learn here: a network that looks at whole frames is asked once for a frame, whatever slice is read first."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from irp_bundle import Engine, PipelineSteps, TorchEngine, complete, read_bundle
from irp_inference.adapters.batches import DynamicBatches
from irp_inference.app.drive import Drive
from irp_inference.app.locations import Locations
from irp_inference.app.ports import Loaded, Ticket
from irp_inference.app.segment_marked import SegmentMarked
from irp_inference.app.segment_series import SegmentSeries, Wish
from irp_inference.domain.cache import BytesBoundCache
from irp_kernel import ObjectRef, Volume

from tests.bundle.zoo_bundles import SMALL_3D, a_chest, a_zoo_bundle, a_zoo_config, a_zoo_net

from .live_builders import CountingNets, OneModel, OneSeries, at_once

TICKET = Ticket(project="demo")


class Nets(CountingNets):
    """The network itself."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._run = engine

    async def forward(self, stage: Any, inputs: Any) -> Any:
        self.passes.append((stage, len(inputs), 0))
        return self._run(stage, inputs)


class Chest:
    async def get(self, ref: ObjectRef) -> Volume:
        return a_chest(20, 24, 5)


async def test_the_slices_beside_the_one_that_was_asked_are_remembered() -> None:
    patches = {"_target_": "SlidingWindowInferer", "roi_size": [16, 16, 4]}
    bundle = read_bundle(a_zoo_bundle(a_zoo_config(SMALL_3D, inferer=patches), a_zoo_net(SMALL_3D)))
    nets, batches, stopping = Nets(TorchEngine(bundle)), DynamicBatches(64), asyncio.Event()
    model = Loaded(name="chest", version=1, digest="d" * 64, steps=PipelineSteps(bundle), nets=nets)
    drive, memory = Drive(batches, at_once), BytesBoundCache[Any](1 << 20)
    marked, locations = SegmentMarked(drive, at_once, BytesBoundCache(1)), Locations(BytesBoundCache(10), drive)
    segment = SegmentSeries(OneSeries(), Chest(), OneModel(model), locations, drive, memory, marked)
    serving = asyncio.create_task(batches.serve(stopping))
    wishes = [Wish(project="demo", series_uid="1.2", model="chest", frames=[0], slices=[n]) for n in (3, *range(5))]
    answers = [await segment(wish, TICKET) for wish in wishes[:1]]
    passes = len(nets.passes)
    answers += [await segment(wish, TICKET) for wish in wishes[1:]]
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)
    assert passes == len(nets.passes) > 0
    assert [answer.known for answer in answers] == [False] + [True] * 5
    whole = complete(PipelineSteps(bundle).segment(a_chest(20, 24, 5)), TorchEngine(bundle)).labels[0]
    np.testing.assert_array_equal(np.stack([answer.segmented.labels[0, 0] for answer in answers[1:]]), whole)
