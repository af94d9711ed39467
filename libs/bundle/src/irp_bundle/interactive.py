"""A model that takes marks: what does not depend on them is computed once per slice, the rest with every click.

The window of a slice does not depend on the marks as long as they lie in it, so that what the encoder saw stays true.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from irp_kernel import Volume
from irp_kernel.mask import VALUE_OF
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.boxes import Located
from irp_bundle.bundle import Bundle
from irp_bundle.errors import PromptsNeeded
from irp_bundle.post import post_process
from irp_bundle.prepare import as_images, prepare_segment
from irp_bundle.prompts import PromptsSpec, Window, prompt_maps
from irp_bundle.sampling import paste
from irp_bundle.segmented import PipelineReport, Segmented
from irp_bundle.steps import Forward, Steps

Region = NDArray[np.bool_]
Features = NDArray[np.float32]
"""(F, size, size): what the encoder answered, or the prepared crop itself where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One marked slice.

    Attributes:
        frame, slice: which.
        window: what the networks look at.
        inside, outside: (row, column), marked as part of a structure, and as none (what is beyond a box, too).
    """

    frame: int
    slice: int
    window: Window
    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]


class InteractiveSteps:
    """The steps of a bundle with `irp_pipeline.prompts`. Holds no state between calls."""

    def __init__(self, bundle: Bundle, prompts: PromptsSpec) -> None:
        self.bundle, self.prompts = bundle, prompts
        self._size = bundle.spec.segment.size
        self._value_of_channel = np.asarray([VALUE_OF.get(name, 0) for name in bundle.channels], np.uint8)

    def view(self, place: tuple[int, int], inside: Region, outside: Region, boxed: Region, located: Located) -> View:
        """What to look at: the window of the slice, or all of it if something is marked beyond that window.

        Args:
            place: (frame, slice).
            inside: (row, column), marked by clicks and scribbles as part of a structure.
            outside: marked by them as part of none.
            boxed: within a box around the structure; empty = there is none.
            located: where the heart is.

        Raises:
            PromptsNeeded: nothing is marked as inside, and there is no box.
        """
        wanted = np.argwhere(inside | boxed)
        if not len(wanted):
            raise PromptsNeeded
        row, column, side = (float(value) for value in located.windows[place[1]])
        if np.abs(wanted - (row, column)).max() > side / 2:
            rows, columns = inside.shape
            row, column, side = (rows - 1) / 2, (columns - 1) / 2, float(max(rows, columns))
        beyond = ~boxed if boxed.any() else boxed
        return View(frame=place[0], slice=place[1], window=(row, column, side), inside=inside, outside=outside | beyond)

    def encode(self, volume: Volume, views: Sequence[View]) -> Steps[list[Features]]:
        """What does not depend on marks, of each view; no pass if the bundle has no encoder.

        Raises:
            ImageNotFinite: the image holds NaN or infinity.
        """
        images = as_images(np.stack([volume.array[view.frame, view.slice] for view in views]))
        crops = prepare_segment(images, _windows(views), self.bundle.spec.segment).numpy()
        if "encode" in self.bundle.stages:
            crops = yield Forward("encode", crops)
        return [crop.copy() for crop in crops]  # each is kept by itself

    def segment(self, views: Sequence[View], features: Sequence[Features], located: Located) -> Steps[Segmented]:
        """Labels of the views; other pairs of their frames and slices are background, and so is what is outside."""
        began = time.perf_counter()
        inputs = np.stack([self._inputs(view, seen) for view, seen in zip(views, features, strict=True)])
        logits = yield Forward("segment", inputs)
        segmented = time.perf_counter()
        channels = paste(torch.from_numpy(logits), _windows(views), views[0].inside.shape).numpy()
        labels = np.asarray(self._value_of_channel[channels], np.uint8)
        labels, corrections = post_process(labels, self.bundle.spec.post)
        for image, view in zip(labels, views, strict=True):
            image[view.outside] = 0
        ended = time.perf_counter()
        seconds = {"segment": segmented - began, "post": ended - segmented}
        report = _report(views, located, seconds, corrections)
        return Segmented(labels=_placed(labels, views, report), table=self.bundle.table, report=report)

    def _inputs(self, view: View, seen: Features) -> NDArray[np.float32]:
        maps = prompt_maps(view.inside, view.outside, view.window, self._size, self.prompts)
        return np.concatenate([seen, maps])


def _report(
    views: Sequence[View], located: Located, seconds: Mapping[str, float], corrections: Mapping[str, int]
) -> PipelineReport:
    return PipelineReport(
        located=located,
        slices=tuple(sorted({view.slice for view in views})),
        frames=tuple(sorted({view.frame for view in views})),
        timings_ms={stage: round(1e3 * value, 3) for stage, value in seconds.items()},
        corrections=corrections,
    )


def _placed(labels: NDArray[np.uint8], views: Sequence[View], report: PipelineReport) -> NDArray[np.uint8]:
    """One image per view -> (frame, slice, row, column)."""
    placed = np.zeros((len(report.frames), len(report.slices), *labels.shape[1:]), np.uint8)
    for image, view in zip(labels, views, strict=True):
        placed[report.frames.index(view.frame), report.slices.index(view.slice)] = image
    return placed


def _windows(views: Sequence[View]) -> Tensor:
    return torch.tensor([view.window for view in views], dtype=torch.float32)
