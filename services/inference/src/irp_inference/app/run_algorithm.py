"""A conventional method on marked slices, one after the other or across them; the answer has the form of a model's."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from irp_bundle import Estimate, Located, PipelineReport, Segmented, as_images
from irp_kernel import LabelTable, Volume
from irp_kernel.errors import SeriesUnknown
from irp_kernel.mask import VALUE_OF
from numpy.typing import NDArray

from irp_inference.app.grow_across import Found, GrowAcross
from irp_inference.app.ports import Offload, Series, SeriesKnown, Ticket, Volumes
from irp_inference.app.segment_series import Answer, Segments, Wish
from irp_inference.app.wall_within import WallWithin
from irp_inference.domain.algorithms.marks import Marks, Place, Region, fingerprint, require_usable
from irp_inference.domain.algorithms.table import Method, Wanted, method
from irp_inference.domain.errors import AlgorithmUnknown, ParametersNotValid

VERSION = 1  # of the methods here: it changes when their results do


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodUsed:
    """What stands in a model's place in provenance."""

    name: str
    version: int = VERSION
    digest: str = ""


class RunAlgorithm:
    """Runs a method beside the event loop. What nobody waits for any more ends with the slice that was begun."""

    def __init__(self, series: Series, volumes: Volumes, segment: Segments, offload: Offload) -> None:
        self._series, self._volumes, self._segment, self._offload = series, volumes, segment, offload
        self._across = GrowAcross(segment, offload)

    async def __call__(self, wish: Wish, ticket: Ticket) -> Answer:
        """Labels of the marked slices; of all slices, or those that were named, if the method works across them.

        Raises:
            SeriesUnknown, AlgorithmUnknown: no such thing.
            ParametersNotValid, PromptsNotValid, VolumeNotOffered: what was said cannot be used.
            NoSuchSlice: a frame or slice that the image does not have.
            TooMuchToLookAt: it would take too many voxels, or too long.
            ImageNotFinite: the image holds NaN or infinity.
            InferenceQueueFull: too many methods wait.
            DeadlineExceeded: it would come too late.
        """
        if wish.method is None:
            raise AlgorithmUnknown
        method(wish.method.name, wish.method.parameters)
        if wish.method.structure not in VALUE_OF:
            raise ParametersNotValid(f"structures are {', '.join(VALUE_OF)}")
        series = await self._series.get(wish.project, wish.series_uid)
        if series is None:
            raise SeriesUnknown
        volume = await self._volumes.get(series.volume)
        began = time.perf_counter()
        work = self._across if wish.method.volume else self._each
        found = await work(wish, wish.method, volume, ticket)
        timings = {"segment": (time.perf_counter() - began) * 1000}
        return _answer(wish, wish.method, series, volume, found, timings)

    async def _each(self, wish: Wish, wanted: Wanted, volume: Volume, ticket: Ticket) -> Found:
        """Each marked slice by itself."""
        run = method(wanted.name, wanted.parameters)
        require_usable(wish.marks, volume.geometry.frames, volume.geometry.shape)
        wall = WallWithin(self._segment, wish, wanted.within_model)
        walls = {(frame, number): await wall(frame, [number], ticket) for frame, number in wish.marks}
        regions: dict[Place, Region] = {}
        for place, marks in wish.marks.items():
            ticket.require_wanted()
            wall_here = walls[place]
            find = partial(_find, run, volume.array[place], marks, None if wall_here is None else wall_here[0], ticket)
            regions[place] = await self._offload(find, ticket)
        return Found(frames=tuple(wish.frames), slices=tuple(wish.slices), regions=regions, within=wall.model)


def _find(run: Method, pixels: NDArray[Any], marks: Marks, within: Region | None, ticket: Ticket) -> Region:
    """One slice, in the thread: what still waits for a thread has not begun, and may be taken back."""
    with ticket.passing():
        return run(as_images(np.asarray(pixels)[None])[0, 0].numpy(), marks, within)


def _answer(
    wish: Wish,
    wanted: Wanted,
    series: SeriesKnown,
    volume: Volume,
    found: Found,
    timings: dict[str, float],
) -> Answer:
    frames, slices = tuple(found.frames), tuple(found.slices)
    labels = np.zeros((len(frames), len(slices), *volume.geometry.shape[1:]), np.uint8)
    for (frame, number), region in found.regions.items():
        labels[frames.index(frame), slices.index(number)][region] = VALUE_OF[wanted.structure]
    nowhere = Located(windows=np.zeros((volume.geometry.shape[0], 3)), outcomes=(), box=0.0)
    report = PipelineReport(located=nowhere, slices=slices, frames=frames)
    table, estimate = LabelTable.canonical((wanted.structure,)), Estimate(warnings=found.warnings)
    across = {"algorithm.across_slices": f"{slices[0]}-{slices[-1]}"} if wanted.volume else {}
    return Answer(
        segmented=Segmented(labels=labels, table=table, report=report, estimate=estimate),
        geometry=volume.geometry,
        series=series,
        model=MethodUsed(name=wanted.name),
        timings_ms=timings,
        parameters={
            "algorithm": wanted.name,
            "algorithm.parameters": json.dumps(dict(wanted.parameters), sort_keys=True),
            "algorithm.within_model": found.within,
            "algorithm.marks_sha256": fingerprint(wish.marks),
            "algorithm.marked_slices": str(len(wish.marks)),
            **across,
        },
    )
