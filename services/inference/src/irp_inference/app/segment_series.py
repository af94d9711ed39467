"""One answer: series and model -> labels of the asked slices on the series' own grid."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from irp_bundle import Located, Segmented
from irp_kernel import Mask, Volume
from irp_kernel.errors import SeriesUnknown
from irp_kernel.geometry import Geometry
from irp_kernel.ids import split_model

from irp_inference.app.drive import Drive
from irp_inference.app.ports import Loaded, Models, Series, SeriesKnown, Ticket, Volumes, Windows


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to segment: empty frames or slices = all."""

    project: str
    series_uid: str
    model: str
    frames: Sequence[int] = ()
    slices: Sequence[int] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Labels, from which model and volume, with milliseconds per stage and what the stages located."""

    segmented: Segmented
    geometry: Geometry
    series: SeriesKnown
    model: Loaded
    timings_ms: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    def mask(self) -> Mask:
        """On the series' whole grid."""
        return self.segmented.mask(self.geometry)


class SegmentSeries:
    """Segment frames and slices of a series."""

    def __init__(self, series: Series, volumes: Volumes, models: Models, windows: Windows, drive: Drive) -> None:
        self._series, self._volumes, self._models = series, volumes, models
        self._windows, self._drive = windows, drive

    async def __call__(self, wish: Wish, ticket: Ticket) -> Answer:
        """The answer, once it was this request's turn.

        Raises:
            SeriesUnknown, ModelUnknown: no such thing.
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
            located = await self._locate(series, volume, model, ticket)
            steps = model.steps.segment(volume, frames=wish.frames, slices=wish.slices, located=located)
            segmented = await self._drive(steps, model, ticket)
        return Answer(
            segmented=segmented,
            geometry=volume.geometry,
            series=series,
            model=model,
            timings_ms={"load": load_ms, **segmented.report.timings_ms},
            parameters=_describe(located),
        )

    async def _locate(self, series: SeriesKnown, volume: Volume, model: Loaded, ticket: Ticket) -> Located:
        """Stage 1 looks at the whole series, once per model."""
        key = f"{series.volume.sha256}/{model.digest}"
        located = self._windows.get(key)
        if located is None:
            located = await self._drive(model.steps.locate(volume), model, ticket)
            self._windows.put(key, located, 1)
        return located


def _describe(located: Located) -> dict[str, str]:
    """What stage 1 said, in numbers."""
    outcomes = sorted(set(located.outcomes))
    counts = {outcome: sum(o == outcome for o in located.outcomes) for outcome in outcomes}
    return {
        "locate.box_px": f"{located.box:.1f}",
        **{f"locate.{outcome}_slices": str(count) for outcome, count in counts.items()},
    }
