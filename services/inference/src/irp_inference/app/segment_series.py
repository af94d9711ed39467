"""One answer: series and model -> mask on the series' own grid."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from irp_bundle import Located, PipelineReport
from irp_kernel import Mask, Volume
from irp_kernel.errors import SeriesUnknown
from irp_kernel.ids import split_model

from irp_inference.app.ports import LIVE, Compute, Loaded, Models, Series, SeriesKnown, Volumes, Windows


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
    """A mask, from which model and volume, with milliseconds per stage and what the stages located."""

    mask: Mask
    series: SeriesKnown
    model: Loaded
    timings_ms: dict[str, float] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)


class SegmentSeries:
    """Segment frames and slices of a series."""

    def __init__(self, series: Series, volumes: Volumes, models: Models, windows: Windows, compute: Compute) -> None:
        self._series, self._volumes, self._models = series, volumes, models
        self._windows, self._compute = windows, compute

    async def __call__(self, wish: Wish, *, priority: int = LIVE) -> Answer:
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
            key = f"{series.volume.sha256}/{model.digest}"
            located = self._windows.get(key)
            if located is None:
                located = await self._compute.run(lambda: model.pipeline.locate(volume), priority=priority)
                self._windows.put(key, located, 1)
            mask, report = await self._segment(volume, model, wish, located, priority)
        timings = {"load": load_ms, **report.timings_ms}
        return Answer(mask=mask, series=series, model=model, timings_ms=timings, parameters=_describe(report))

    async def _segment(
        self, volume: Volume, model: Loaded, wish: Wish, located: Located, priority: int
    ) -> tuple[Mask, PipelineReport]:
        return await self._compute.run(
            lambda: model.pipeline.run(volume, frames=wish.frames, slices=wish.slices, located=located),
            priority=priority,
        )


def _describe(report: PipelineReport) -> dict[str, str]:
    """What stage 1 said, in numbers."""
    outcomes = sorted(set(report.located.outcomes))
    counts = {outcome: sum(o == outcome for o in report.located.outcomes) for outcome in outcomes}
    return {
        "locate.box_px": f"{report.located.box:.1f}",
        **{f"locate.{outcome}_slices": str(count) for outcome, count in counts.items()},
    }
