"""A conventional method on marked slices; the answer has the form of a model's."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from irp_bundle import Located, PipelineReport, Segmented, as_images
from irp_kernel import LabelTable, Volume
from irp_kernel.errors import SeriesUnknown
from irp_kernel.mask import LV_MYOCARDIUM, NO_REFLOW, SCAR, VALUE_OF
from numpy.typing import NDArray

from irp_inference.app.ports import Offload, Series, SeriesKnown, Ticket, Volumes
from irp_inference.app.segment_series import Answer, Segments, Wish
from irp_inference.domain.algorithms.marks import Marks
from irp_inference.domain.algorithms.table import Method, method
from irp_inference.domain.errors import ParametersNotValid, PromptsNotValid

VERSION = 1  # of the methods here: it changes when their results do
MYOCARDIUM = (LV_MYOCARDIUM, SCAR, NO_REFLOW)
MOST_SLICES = 64  # that one request may mark

Place = tuple[int, int]  # (frame, slice)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlgorithmWish:
    """What to find, and how.

    Attributes:
        project, series_uid: the series.
        name: of the method.
        structure: canonical name of what is found.
        parameters: of the method; missing ones take their defaults.
        within_model: "name" or "name@version" whose myocardium is looked at; empty = none.
        marks: per frame and slice; these slices are answered.
    """

    project: str
    series_uid: str
    name: str
    structure: str
    parameters: Mapping[str, Any]
    within_model: str
    marks: Mapping[Place, Marks]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodUsed:
    """What stands in a model's place in provenance."""

    name: str
    version: int = VERSION
    digest: str = ""


class RunAlgorithm:
    """Runs a method beside the event loop."""

    def __init__(self, series: Series, volumes: Volumes, segment: Segments, offload: Offload) -> None:
        self._series, self._volumes, self._segment, self._offload = series, volumes, segment, offload

    async def __call__(self, wish: AlgorithmWish, ticket: Ticket) -> Answer:
        """Labels of the marked slices.

        Raises:
            SeriesUnknown, AlgorithmUnknown: no such thing.
            ParametersNotValid, PromptsNotValid: what was said cannot be used.
            ImageNotFinite: the image holds NaN or infinity.
        """
        run = method(wish.name, wish.parameters)
        if wish.structure not in VALUE_OF:
            raise ParametersNotValid(f"structures are {', '.join(VALUE_OF)}")
        series = await self._series.get(wish.project, wish.series_uid)
        if series is None:
            raise SeriesUnknown
        volume = await self._volumes.get(series.volume)
        _require_marks(wish.marks, volume)
        within = await self._within(wish, ticket)
        began = time.perf_counter()
        segmented = await self._offload(lambda: _run(run, wish, volume, within))
        timings = {"segment": (time.perf_counter() - began) * 1000}
        return _answer(wish, series, volume, segmented, timings)

    async def _within(self, wish: AlgorithmWish, ticket: Ticket) -> dict[Place, NDArray[np.bool_]]:
        """The model's myocardium with what lies in it (scar, no-reflow), per marked slice."""
        if not wish.within_model:
            return {}
        found: dict[Place, NDArray[np.bool_]] = {}
        for frame, number in wish.marks:
            asked = Wish(
                project=wish.project,
                series_uid=wish.series_uid,
                model=wish.within_model,
                frames=[frame],
                slices=[number],
            )
            labels = (await self._segment(asked, ticket)).segmented.labels[0, 0]
            found[frame, number] = np.isin(labels, MYOCARDIUM)
        return found


def _require_marks(marks: Mapping[Place, Marks], volume: Volume) -> None:
    frames, (slices, rows, columns) = volume.geometry.frames, volume.geometry.shape
    if not 0 < len(marks) <= MOST_SLICES:
        raise PromptsNotValid(f"mark 1 to {MOST_SLICES} slices")
    for (frame, number), marked in marks.items():
        if not (0 <= frame < frames and 0 <= number < slices):
            raise PromptsNotValid(f"a mark lies on a slice that is not there: {slices} slices, {frames} frames")
        marked.require_on((rows, columns))


def _run(run: Method, wish: AlgorithmWish, volume: Volume, within: Mapping[Place, NDArray[np.bool_]]) -> Segmented:
    frames, slices = sorted({f for f, _ in wish.marks}), sorted({s for _, s in wish.marks})
    labels = np.zeros((len(frames), len(slices), *volume.geometry.shape[1:]), np.uint8)
    for (frame, number), marks in wish.marks.items():
        image = as_images(volume.array[frame, number][None])[0, 0].numpy()
        region = run(image, marks, within.get((frame, number)))
        labels[frames.index(frame), slices.index(number)][region] = VALUE_OF[wish.structure]
    nowhere = Located(windows=np.zeros((volume.geometry.shape[0], 3)), outcomes=(), box=0.0)
    report = PipelineReport(located=nowhere, slices=tuple(slices), frames=tuple(frames))
    return Segmented(labels=labels, table=LabelTable.canonical((wish.structure,)), report=report)


def _answer(
    wish: AlgorithmWish, series: SeriesKnown, volume: Volume, segmented: Segmented, timings: dict[str, float]
) -> Answer:
    said = json.dumps({f"{f}/{s}": repr(marks) for (f, s), marks in sorted(wish.marks.items())})
    return Answer(
        segmented=segmented,
        geometry=volume.geometry,
        series=series,
        model=MethodUsed(name=wish.name),
        timings_ms=timings,
        parameters={
            "algorithm": wish.name,
            "algorithm.parameters": json.dumps(dict(wish.parameters), sort_keys=True),
            "algorithm.within_model": wish.within_model,
            "algorithm.marks_sha256": hashlib.sha256(said.encode()).hexdigest(),
            "algorithm.marked_slices": str(len(wish.marks)),
        },
    )
