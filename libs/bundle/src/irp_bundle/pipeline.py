"""Two networks, one answer: locate the left ventricle in the whole slice, segment inside its window, put it back.

Where the heart is depends on the volume alone, never on which slices were asked: one slice asked alone gives the
same labels as in its series. Nothing here runs a network: the steps ask for forward passes (see `steps.py`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from irp_kernel import LabelTable, Mask, Volume
from irp_kernel.errors import InvalidArgument
from irp_kernel.geometry import Geometry
from irp_kernel.mask import VALUE_OF
from irp_kernel.slices import LabelledSlices
from numpy.typing import NDArray
from torch import Tensor

from irp_bundle.boxes import Box, Located, agree, box_of, box_to_image, whole
from irp_bundle.bundle import BACKGROUND, Bundle
from irp_bundle.errors import PromptsNeeded
from irp_bundle.post import post_process
from irp_bundle.prepare import as_images, prepare_locate, prepare_segment
from irp_bundle.sampling import paste, whole_windows
from irp_bundle.steps import Forward, Steps

CLOSER_LOOKS = 3  # at most; a box that was first seen too small or too large is found out by the next look
SAME_SIZE = 0.05  # relative difference of two looks from which they agree


class NoSuchSlice(InvalidArgument):
    """The request names a slice or a frame that the image does not have.

    Slices and frames count from 0; the detail says how many there are.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineReport:
    """What happened on the way.

    Attributes:
        located: windows and outcome per slice.
        slices: those that were segmented.
        frames: those that were segmented.
        timings_ms: per stage: locate, segment, post.
    """

    located: Located
    slices: tuple[int, ...]
    frames: tuple[int, ...]
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmented:
    """Labels of what was asked for, and of nothing else.

    Attributes:
        labels: uint8 (frame, slice, row, column), canonical values; only the asked frames and slices.
        table: what the values mean.
        report: how they came to be; its `frames` and `slices` number the first two axes.
    """

    labels: NDArray[np.uint8]
    table: LabelTable
    report: PipelineReport

    def on(self, geometry: Geometry) -> LabelledSlices:
        """Where they lie on the volume's grid."""
        frames, slices = self.report.frames, self.report.slices
        return LabelledSlices(geometry=geometry, labels=self.labels, frames=frames, slices=slices, table=self.table)

    def mask(self, geometry: Geometry) -> Mask:
        """On the volume's whole grid; what was not asked for is not annotated."""
        return self.on(geometry).mask()


class PipelineSteps:
    """A bundle's pipeline as steps that ask for forward passes. Holds no state between calls."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle, self.spec = bundle, bundle.spec
        values = [0 if name == BACKGROUND else VALUE_OF[name] for name in bundle.channels]
        self._value_of_channel = np.asarray(values, dtype=np.uint8)

    def segment(
        self,
        volume: Volume,
        *,
        frames: Sequence[int] | None = None,
        slices: Sequence[int] | None = None,
        located: Located | None = None,
    ) -> Steps[Segmented]:
        """Segment some or all slices and frames.

        Args:
            volume: (time, slice, row, column).
            frames: None or empty = all.
            slices: None or empty = all.
            located: stage 1's verdict on this volume, if it is known already.

        Raises:
            NoSuchSlice: a number is out of range.
            ImageNotFinite: the image holds NaN or infinity.
            PromptsNeeded: the bundle segments what is marked: see `interactive`.
        """
        if self.spec.prompts is not None:
            raise PromptsNeeded
        wanted_frames = _wanted(frames, volume.geometry.frames)
        wanted_slices = _wanted(slices, volume.geometry.shape[0])
        began = time.perf_counter()
        located = (yield from self.locate(volume)) if located is None else located
        found = time.perf_counter()
        labels = yield from self._segment(volume, located, wanted_frames, wanted_slices)
        segmented = time.perf_counter()
        tidy = post_process(labels, self.spec.post)
        timings = {"locate": found - began, "segment": segmented - found, "post": time.perf_counter() - segmented}
        report = PipelineReport(
            located=located,
            slices=wanted_slices,
            frames=wanted_frames,
            timings_ms={stage: round(1e3 * seconds, 3) for stage, seconds in timings.items()},
        )
        shape = (len(wanted_frames), len(wanted_slices), *volume.geometry.shape[1:])
        return Segmented(labels=tidy.reshape(shape), table=self.bundle.table, report=report)

    def locate(self, volume: Volume) -> Steps[Located]:
        """Stage 1: where the left ventricle is, in every slice; a function of the volume alone.

        Raises:
            ImageNotFinite: the image holds NaN or infinity.
        """
        frames, slices, rows, columns = volume.array.shape
        if "locate" not in self.bundle.stages:
            return whole(slices, (rows, columns))
        spec = self.spec.locate
        keys = key_frames(frames, spec.frames)
        images = as_images(volume.array[list(keys)].reshape(-1, rows, columns))
        found = self._agree((yield from self._look(images, whole_windows(images))), slices, (rows, columns))
        for _ in range(CLOSER_LOOKS if spec.look_again else 0):
            if not found.box:
                break
            # Where the series as a whole says that the heart is, at one size for all slices.
            closer = np.column_stack([found.windows[:, :2], np.full(slices, found.box * spec.look_again)])
            windows = torch.from_numpy(np.tile(closer, (len(keys), 1))).float()
            size = found.box
            found = self._agree((yield from self._look(images, windows)), slices, (rows, columns))
            if abs(found.box / size - 1) < SAME_SIZE:
                break
        return found

    def _agree(self, boxes: list[Box | None], slices: int, shape: tuple[int, int]) -> Located:
        found = [(number % slices, box) for number, box in enumerate(boxes) if box is not None]
        return agree(found, slices, shape, margin=self.spec.locate.margin, fallback=self.spec.locate.fallback)

    def _look(self, images: Tensor, windows: Tensor) -> Steps[list[Box | None]]:
        """One look at windows of the images: boxes in the images' pixels."""
        spec = self.spec.locate
        logits = yield Forward("locate", prepare_locate(images, spec, windows).numpy())
        needed = np.log(spec.threshold / (1 - spec.threshold))
        regions = logits[:, 1] - logits[:, 0] > needed
        found = [box_of(region, spec.min_pixels) for region in regions]
        return [b and box_to_image(b, w, spec.size) for b, w in zip(found, windows.double().numpy(), strict=True)]

    def _segment(
        self, volume: Volume, located: Located, frames: tuple[int, ...], slices: tuple[int, ...]
    ) -> Steps[NDArray[np.uint8]]:
        """Stage 2: canonical labels (frames x slices, rows, columns)."""
        shape = (volume.geometry.shape[1], volume.geometry.shape[2])
        images = as_images(volume.array[np.ix_(frames, slices)].reshape(-1, *shape))
        windows = torch.from_numpy(np.tile(located.windows[list(slices)], (len(frames), 1))).float()
        logits = yield Forward("segment", prepare_segment(images, windows, self.spec.segment).numpy())
        channels = paste(torch.from_numpy(logits), windows, shape).numpy()
        return np.asarray(self._value_of_channel[channels], dtype=np.uint8)


def key_frames(frames: int, wanted: int) -> tuple[int, ...]:
    """Frames spread evenly over the cycle, beginning with the first: 20 frames, 2 wanted -> (0, 10)."""
    count = min(frames, wanted)
    return tuple(number * frames // count for number in range(count))


def _wanted(numbers: Sequence[int] | None, count: int) -> tuple[int, ...]:
    if not numbers:
        return tuple(range(count))
    if min(numbers) < 0 or max(numbers) >= count:
        raise NoSuchSlice(there_are=count)
    return tuple(sorted(set(numbers)))
