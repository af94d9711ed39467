"""One answer: series and model -> labels of the asked slices on the series' own grid."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from irp_bundle import PLAIN, Options, PromptsNeeded, Segmented
from irp_kernel import Mask, Volume
from irp_kernel.errors import SeriesUnknown
from irp_kernel.geometry import Geometry
from irp_kernel.ids import split_model

from irp_inference.app.described import described
from irp_inference.app.drive import Drive
from irp_inference.app.locations import Locations
from irp_inference.app.ports import Loaded, Memory, Models, Series, SeriesKnown, Ticket, Volumes
from irp_inference.app.segment_marked import Heart, SegmentMarked
from irp_inference.domain.algorithms.marks import Marks, Place, fingerprint
from irp_inference.domain.algorithms.table import Wanted
from irp_inference.domain.errors import PromptsNotTaken

OVERHEAD_BYTES = 2048  # of an answer that is remembered, beside its labels


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to segment.

    Attributes:
        project, series_uid: the series.
        model: "name" or "name@version"; or `method`.
        frames, slices: empty = all.
        options: how a model's pipeline answers.
        variant: whatever else the answer depends on, as text; None = it depends on what cannot be named, and answers
            are not kept.
        marks: what a reader marked, by frame and slice; all of them are asked for. Empty = nothing was marked.
        method: a conventional method in the model's place.
    """

    project: str
    series_uid: str
    model: str = ""
    frames: Sequence[int] = ()
    slices: Sequence[int] = ()
    options: Options = PLAIN
    variant: str | None = ""
    marks: Mapping[Place, Marks] = field(default_factory=dict)
    method: Wanted | None = None

    @property
    def is_one(self) -> bool:
        """One slice of one frame."""
        return len(self.frames) == 1 and len(self.slices) == 1


class Named(Protocol):
    """What an answer came from: a model version, or a method."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def version(self) -> int:
        """Its version."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of the bundle; empty for a method."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Labels, from which model and volume, with milliseconds per stage and what the stages located.

    `known` = no network ran for it.
    """

    segmented: Segmented
    geometry: Geometry
    series: SeriesKnown
    model: Named
    timings_ms: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    known: bool = False

    def mask(self) -> Mask:
        """On the series' whole grid."""
        return self.segmented.mask(self.geometry)


class Segments(Protocol):
    """Whoever answers wishes: SegmentSeries, or who chooses the version before it."""

    async def __call__(self, wish: Wish, ticket: Ticket) -> Answer:
        """The answer, once it was this request's turn."""
        ...


class SegmentSeries:
    """Segment frames and slices of a series; single slices are remembered."""

    def __init__(
        self,
        series: Series,
        volumes: Volumes,
        models: Models,
        locations: Locations,
        drive: Drive,
        memory: Memory,
        marked: SegmentMarked,
    ) -> None:
        self._series, self._volumes, self._models = series, volumes, models
        self._locations, self._drive, self._memory, self._marked = locations, drive, memory, marked

    async def __call__(self, wish: Wish, ticket: Ticket) -> Answer:
        """The answer, once it was this request's turn.

        Raises:
            SeriesUnknown, ModelUnknown: no such thing.
            PromptsNotTaken, PromptsNeeded: something was marked, and the model does not look at marks, or the reverse.
            NoSuchSlice: a frame or slice that the image does not have.
            ImageNotFinite: the image holds NaN or infinity.
            InferenceQueueFull, DeadlineExceeded: too much to do.
        """
        name, version = split_model(wish.model)
        series = await self._series.get(wish.project, wish.series_uid)
        if series is None:
            raise SeriesUnknown
        began = time.perf_counter()
        volume = await self._volumes.get(series.volume)
        load_ms = (time.perf_counter() - began) * 1000
        async with self._models.use(name, version) as model:
            key = _key(wish, series, model)
            known = self._memory.get(key) if key else None
            segmented = known or await self._segment(wish, series, volume, model, ticket)
            if key and not known:
                self._remember(wish, series, model, segmented)
        return Answer(
            segmented=segmented,
            geometry=volume.geometry,
            series=series,
            model=model,
            timings_ms={"load": load_ms, **({} if known else segmented.report.timings_ms)},
            parameters={"precision": model.nets.precision} | described([segmented]) | _marks(wish),
            known=known is not None,
        )

    def _remember(self, wish: Wish, series: SeriesKnown, model: Loaded, found: Segmented) -> None:
        """Also what a network that looks at whole frames has said of the other slices; what was asked stays longest."""
        for number, one in [*found.beside.items(), (wish.slices[0], replace(found, beside={}))]:
            key = _key(replace(wish, slices=[number]), series, model)
            self._memory.put(key, one, one.nbytes + OVERHEAD_BYTES)

    async def _segment(
        self, wish: Wish, series: SeriesKnown, volume: Volume, model: Loaded, ticket: Ticket
    ) -> Segmented:
        ticket.require_wanted()
        if wish.marks and model.interactive is None:
            raise PromptsNotTaken
        if model.interactive is not None and not wish.marks:
            raise PromptsNeeded
        began = time.perf_counter()
        located = await self._locations.find(series.volume.sha256, volume, model, ticket)
        located_ms = (time.perf_counter() - began) * 1000
        heart = Heart(volume=volume, sha256=series.volume.sha256, located=located)
        segmented = await self._look(wish, heart, model, ticket)
        segmented.report.timings_ms["locate"] = located_ms
        return segmented

    async def _look(self, wish: Wish, heart: Heart, model: Loaded, ticket: Ticket) -> Segmented:
        if wish.marks:
            return await self._marked(wish.marks, heart, model, ticket)
        steps = model.steps.segment(
            heart.volume, frames=wish.frames, slices=wish.slices, located=heart.located, options=wish.options
        )
        return await self._drive(steps, model, ticket)


def _key(wish: Wish, series: SeriesKnown, model: Loaded) -> str:
    """What an answer depends on; empty = it is not remembered."""
    if wish.variant is None or not wish.is_one:
        return ""
    how = f"{wish.variant}/{wish.options.key}"
    return f"{series.volume.sha256}/{model.identity}/{how}/{wish.frames[0]}/{wish.slices[0]}"


def _marks(wish: Wish) -> dict[str, str]:
    """What was marked, for provenance."""
    if not wish.marks:
        return {}
    return {"prompts.marks_sha256": fingerprint(wish.marks), "prompts.marked_slices": str(len(wish.marks))}
